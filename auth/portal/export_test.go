package portal

import (
	"context"
	"net/http"
	"time"

	"gatehouse/auth"
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

// AddPage opens a page below the prefix, as a line of the table does.
func (p *Portal) AddPage(path string, open func(*Portal) (get, post web.Handler, err error)) error {
	get, post, err := open(p)
	if err == nil {
		p.pages[prefix+path] = page{get: get, post: post}
	}
	return err
}

// Person returns who is signed in.
func (p *Portal) Person(r *http.Request) (*auth.Identity, error) { return p.person(r) }

// SetHalfway sets how long there is for the second step of a login.
func (p *Portal) SetHalfway(d time.Duration) { p.halfway = d }

// Safe is safe, for a request of the login host over https.
func (p *Portal) Safe(next string) (string, bool) {
	r := (&http.Request{}).WithContext(web.With(context.Background(), &web.Info{Scheme: "https", Host: p.o.LoginHost}))
	return p.safe(r, next)
}
