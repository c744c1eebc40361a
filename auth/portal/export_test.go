package portal

import (
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

// Open reports whether a form's token was made for the session.
func (p *Portal) Open(token, session string) bool {
	_, ok := p.openToken(token, session)
	return ok
}

// ParseForm reads a body.
func ParseForm(body string) (map[string]string, error) { return parseForm(body) }

// SetFresh sets for how long a login speaks for the person by itself.
func (p *Portal) SetFresh(d time.Duration) { p.fresh = d }

// Device returns what the account page calls a browser.
func Device(agent string) string {
	return accountPage{PageData: web.PageData{Lang: lang.All()[0]}}.Device(sessionRow{Agent: agent})
}
