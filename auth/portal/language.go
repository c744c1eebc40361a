package portal

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

// languageAge is the lifetime of the language cookie.
const languageAge = 365 * 24 * time.Hour

// openLanguage returns the target of the language menu.
func openLanguage(p *Portal) (page, error) { return page{get: p.setLanguage}, nil }

// setLanguage stores the chosen language in a cookie and redirects back to the page
// with the menu. A GET without a token is enough for a mere preference, but
// requests from other sites, and unknown languages, change nothing.
func (p *Portal) setLanguage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if l := lang.Find(q.Get("lang")); l != nil && site(r).Check(r.Header) == nil {
		p.o.Cookies.Set(w, r, web.LanguageCookie, l.Tag, languageAge)
	}
	redirect(w, r, http.StatusFound, p.back(r, q.Get("next")))
	return nil
}

// back returns the address of the page that the language menu was on. For our own
// pages, which SafeNext refuses, it keeps nothing but the query's next and state; all
// other addresses must pass SafeNext, or become "/".
func (p *Portal) back(r *http.Request, here string) string {
	path, query, _ := strings.Cut(here, "?")
	switch path {
	case prefix:
		return path
	case prefix + "login", prefix + "logout":
		values, _ := url.ParseQuery(query) // malformed fields are ignored
		next, ok := p.safe(r, values.Get("next"))
		if strings.HasPrefix(values.Get("next"), keptPrefix) {
			next, ok = values.Get("next"), true // the page itself looks it up
		}
		if ok {
			return path + "?next=" + quote(next) + stateQuery(stateIn(values))
		}
		return path
	}
	next, _ := SafeNext(here)
	return next
}

// frame returns the data that all pages share, such as language and branding. here
// is the page's own path and query, to which the language menu returns.
func (p *Portal) frame(r *http.Request, here string) web.PageData {
	return p.o.Face.PageData(r, here)
}

// withNext returns the address of a page of ours with next in its query; "" leaves
// the query out.
func withNext(page, next string) string {
	if next == "" {
		return prefix + page
	}
	return prefix + page + "?next=" + quote(next)
}
