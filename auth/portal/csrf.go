package portal

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

// What a visitor reads when a request is not taken for one of our pages.
const (
	msgForeign = "This form was not sent from this site."
	msgAddress = "Your browser and this site do not agree about the address of this page. The administrator finds the reason in the log."
	msgVisit   = "This page can only be opened in a window of its own."
	msgCookies = "Your browser did not send the cookie of this site. Please allow cookies for this site, and sign in again."
	msgTwo     = "Your browser sends two different cookies of this site, so that neither counts. Please delete the cookies of this site, and sign in again."
)

// visited returns an error unless the visitor goes to the page, as far as the
// browser tells. Applications and our pages are one origin: their scripts could
// read what a page shows, its CSRF token too, and act with it. No script can
// make its browser say navigate of what it reads, and no frame can show our
// pages. A client that tells nothing is an older browser, or none.
func (p *Portal) visited(r *http.Request) error {
	for _, f := range []struct{ name, want string }{{"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}} {
		for _, v := range r.Header[f.name] {
			if v != f.want {
				return p.refused(r, web.Fail(http.StatusForbidden, msgVisit, fmt.Errorf("a page of ours was not visited, but asked for: %s is %.40q", f.name, v)))
			}
		}
	}
	return nil
}

// sentFromHere returns an error unless a page of ours sent the form, as far as
// the browser tells.
func (p *Portal) sentFromHere(r *http.Request) error {
	err := site(r).Check(r.Header)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, httpfield.ErrCrossSite):
		return p.refused(r, web.Fail(http.StatusForbidden, msgForeign, err))
	default:
		return p.refused(r, web.Fail(http.StatusForbidden, msgAddress, err))
	}
}

// checkForm reads the form of somebody who is signed in, and makes sure that
// they sent it: from a page of ours that was made for this session. The
// identity is nil when nobody is signed in; then only the origin was checked.
func (p *Portal) checkForm(w http.ResponseWriter, r *http.Request) (form, *auth.Identity, error) {
	f, err := readForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	if err := p.sentFromHere(r); err != nil {
		return nil, nil, err
	}
	id, err := p.person(r)
	if err != nil || id == nil {
		return f, nil, err
	}
	if !p.validToken(r, f["csrf_token"], id.Session.Key) {
		_, why := p.tokenTrouble(r, f["csrf_token"])
		return nil, nil, p.refused(r, web.Fail(http.StatusForbidden, "This form is out of date. Please go back, load the page again, and repeat it.", why))
	}
	return f, id, nil
}

// tokenTrouble says why a form's token does not count: to the visitor of the
// login page, and to the log.
func (p *Portal) tokenTrouble(r *http.Request, token string) (say lang.Text, why error) {
	nonce, clash := p.csrfNonce(r)
	_, ours := p.openToken(token, "")
	name := p.o.Cookies.Name(r, auth.CookieCSRF)
	switch {
	case clash:
		return lang.Text{Key: msgTwo}, fmt.Errorf("two cookies %s of ours came with the form, and differ: another host of the domain may have planted one", name)
	case nonce == nil && ours && len(r.CookiesNamed(name)) == 0:
		return lang.Text{Key: msgCookies}, fmt.Errorf("no cookie %s came with the form: the browser refuses cookies, or does not take Secure ones over http", name)
	case nonce == nil:
		return lang.Text{Key: msgStale}, fmt.Errorf("no cookie %s of ours came with the form", name)
	default:
		return lang.Text{Key: msgStale}, errors.New("the form's token is not one of this browser and session")
	}
}

// refused notes a request that may come from another site or from a script: an
// audit event, and a warning with the reason.
func (p *Portal) refused(r *http.Request, e *web.Error) error {
	p.noteForged(r, e.Err)
	return e
}

func (p *Portal) noteForged(r *http.Request, why error) {
	info := web.From(r.Context())
	path := auth.Clip(r.URL.EscapedPath())
	p.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "request for a page of ours refused",
		slog.String("request_id", info.ID), slog.String("client", info.Client.String()),
		slog.String("host", auth.Clip(info.Host)), slog.String("path", path), slog.Any("reason", why))
	p.event(r, audit.CSRFFailure, slog.String("user", info.User), slog.String("path", path), slog.String("reason", why.Error()))
}

// site is the origin of the request as the visitor sees it.
func site(r *http.Request) httpfield.Origin {
	info := web.From(r.Context())
	return httpfield.Origin{Scheme: info.Scheme, Host: info.Host, Port: info.Port}
}
