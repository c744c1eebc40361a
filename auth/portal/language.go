package portal

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

// languageAge is how long a browser remembers the language.
const languageAge = 365 * 24 * time.Hour

// openLanguage is where the menu of languages leads.
func openLanguage(p *Portal) (page, error) { return page{get: p.setLanguage}, nil }

// setLanguage remembers the language that the visitor has chosen in the menu,
// and goes back to the page with the menu. What is chosen is a preference and
// no more, so that it takes no form with a token; only what another site sends
// is not heard.
func (p *Portal) setLanguage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if l := lang.Find(q.Get("lang")); l != nil && site(r).Check(r.Header) == nil {
		p.o.Cookies.Set(w, r, web.LanguageCookie, l.Tag, languageAge)
	}
	redirect(w, r, http.StatusFound, back(q.Get("next")))
	return nil
}

// back gives the page that the menu of languages was on: one of our own, with
// nothing but its next, or what SafeNext gives.
func back(here string) string {
	path, query, _ := strings.Cut(here, "?")
	switch path {
	case prefix:
		return path
	case prefix + "login", prefix + "logout":
		values, _ := url.ParseQuery(query) // what cannot be read is not there
		next, ok := SafeNext(values.Get("next"))
		if strings.HasPrefix(values.Get("next"), keptPrefix) {
			next, ok = values.Get("next"), true // the page looks whether it is there
		}
		if ok {
			return path + "?next=" + quote(next)
		}
		return path
	}
	next, _ := SafeNext(here)
	return next
}

// frame is what each page has besides its own content. here is the page's own
// path and query.
func (p *Portal) frame(r *http.Request, here string) web.PageData {
	return p.o.Face.PageData(r, here)
}

// withNext is a page of ours with the way on in it; "" when there is none.
func withNext(page, next string) string {
	if next == "" {
		return prefix + page
	}
	return prefix + page + "?next=" + quote(next)
}
