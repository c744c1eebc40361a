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

// What visitors read when one of our pages refuses a request.
const (
	msgForeign = "This form was not sent from this site."
	msgAddress = "Your browser and this site do not agree about the address of this page. The administrator finds the reason in the log."
	msgVisit   = "This page can only be opened in a window of its own."
	msgCookies = "Your browser did not send the cookie of this site. Please allow cookies for this site, and sign in again."
	msgTwo     = "Your browser sends two different cookies of this site, so that neither counts. Please delete the cookies of this site, and sign in again."
)

// visited returns a 403 if the browser says that the request is no navigation of a
// window: a fetch by a script, or a frame. Applications and our pages share an
// origin, so a script of an application could otherwise read a page with its CSRF
// token, and use it. A script cannot forge Sec-Fetch-Mode and Sec-Fetch-Dest. A
// client that sends neither is an older browser or none, and is let through.
//
// On an application's host, beside a login host, a navigation may come by a service
// worker that answers for the host, with the destination empty: the application has been
// allowed one, and nothing is typed there.
func (p *Portal) visited(r *http.Request) error {
	for _, f := range []struct{ name, want string }{{"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}} {
		for _, v := range r.Header[f.name] {
			worker := f.name == "Sec-Fetch-Dest" && v == "empty" && p.onAppHost(r)
			if v != f.want && !worker {
				return p.refused(r, web.Fail(http.StatusForbidden, msgVisit, fmt.Errorf("a page of ours was not visited, but asked for: %s is %.40q", f.name, v)))
			}
		}
	}
	return nil
}

// sentFromHere returns a 403 if the browser says that the form was sent by a page
// of another origin. It tells the visitor whether that is another site, or the same
// one under an address that the gate does not know.
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

// checkForm reads a form that requires a login, and checks that a page of ours sent
// it that was made for this session. If nobody is signed in, the identity is nil and
// the token is not checked: the caller must not act on the form.
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

// tokenTrouble returns why a form's token is not valid: a message for the visitor,
// and an error for the log.
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

// refused records a refused request, which may come from another site or from a
// script, and returns e.
func (p *Portal) refused(r *http.Request, e *web.Error) error {
	p.noteForged(r, e.Err)
	return e
}

// noteForged writes an audit event and a warning with the reason.
func (p *Portal) noteForged(r *http.Request, why error) {
	info := web.From(r.Context())
	path := auth.Clip(r.URL.EscapedPath())
	p.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "request for a page of ours refused",
		slog.String("request_id", info.ID), slog.String("client", info.Client.String()),
		slog.String("host", auth.Clip(info.Host)), slog.String("path", path), slog.Any("reason", why))
	p.event(r, audit.CSRFFailure, slog.String("user", info.User), slog.String("path", path), slog.String("reason", why.Error()))
}

// site returns the origin of the request as the visitor's browser sees it.
func site(r *http.Request) httpfield.Origin {
	info := web.From(r.Context())
	return httpfield.Origin{Scheme: info.Scheme, Host: info.Host, Port: info.Port}
}
