package portal

import (
	"net/http"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/web/lang"
)

// A notice is a message that the next of our pages shows once. It travels as a
// word in a cookie, so that neither a reload nor a bookmark shows it again. The
// cookie is not signed, because it can select nothing but one of our own texts.
type notice string

// The notices. Some words are those of Manager.EndReason; see noticeOf.
const (
	noticeDevice   notice = "device"
	noticeOthers   notice = "others"
	noticePassword notice = "password"
	noticeLogout   notice = "logout"
	noticeIdle     notice = "idle"
	noticeMaxAge   notice = "max_age"
	noticeRevoked  notice = "revoked"
	noticeEnded    notice = "ended"
)

// noticeOf returns the notice for the reason why a session ended; see
// Manager.EndReason. A reason without a text of its own becomes noticeEnded.
func noticeOf(reason string) notice {
	switch reason {
	case "idle", "max_age", "revoked", "password", "logout":
		return notice(reason)
	case "limit": // too many sessions: a login elsewhere has ended it
		return noticeRevoked
	}
	return noticeEnded
}

// endOf returns the notice for visitors whose cookie is that of a session that has
// ended; "" for all others.
func (p *Portal) endOf(r *http.Request) notice {
	if reason, ended := p.o.Sessions.EndReason(r); ended {
		return noticeOf(reason)
	}
	return ""
}

// noticeAge is the lifetime of the cookie: how much later the next page may be
// requested.
const noticeAge = time.Minute

// onAccount returns the notice's text on the account page. It is empty for notices
// of other pages and for unknown words.
func (n notice) onAccount() lang.Text {
	switch n {
	case noticeDevice:
		return lang.Text{Key: "That device is signed out."}
	case noticeOthers:
		return lang.Text{Key: "All your other devices are signed out."}
	case noticePassword:
		return lang.Text{Key: "Your password is changed. All your other devices are signed out."}
	default:
		return lang.Text{}
	}
}

// onLogin returns the notice's text on the login page, for visitors who are not
// signed in. It is empty for notices of other pages and for unknown words.
func (n notice) onLogin() lang.Text {
	switch n {
	case noticeLogout:
		return lang.Text{Key: "You are signed out."}
	case noticeIdle:
		return lang.Text{Key: "You were signed out because you were inactive for a while. Please sign in again."}
	case noticeMaxAge:
		return lang.Text{Key: "You were signed out because you had been signed in for a long time. Please sign in again."}
	case noticeRevoked:
		return lang.Text{Key: "This session was ended from another device or by an administrator. Please sign in again."}
	case noticePassword:
		return lang.Text{Key: "Your password was changed. Please sign in with the new one."}
	case noticeEnded:
		return lang.Text{Key: "You are no longer signed in. Please sign in again."}
	default:
		return lang.Text{}
	}
}

// leaveNotice sets the cookie with the notice for the next page.
func (p *Portal) leaveNotice(w http.ResponseWriter, r *http.Request, n notice) {
	p.o.Cookies.Set(w, r, auth.CookieNotice, string(n), noticeAge)
}

// takeNotice returns the notice that came with the request and deletes its cookie;
// "" if there is none. The word comes from the client and may be unknown.
func (p *Portal) takeNotice(w http.ResponseWriter, r *http.Request) notice {
	cookies := r.CookiesNamed(p.o.Cookies.Name(r, auth.CookieNotice))
	if len(cookies) == 0 {
		return ""
	}
	p.o.Cookies.Set(w, r, auth.CookieNotice, "", -time.Second)
	return notice(cookies[0].Value)
}
