package portal

import (
	"net/http"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/web/lang"
)

// A notice is what the next page of ours says, once. It travels as a word in a
// cookie, so that neither a reload nor a bookmark says it again. Anybody can
// write such a cookie: it stands for a text of ours, and for nothing else.
type notice string

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

// noticeOf returns the notice of a session's end; see Manager.EndReason.
func noticeOf(reason string) notice {
	switch reason {
	case "idle", "max_age", "revoked", "password":
		return notice(reason)
	case "limit": // a login elsewhere has ended it
		return noticeRevoked
	}
	return noticeEnded
}

// endOf returns what is said to somebody who comes with the cookie of a session
// that has ended; "" to everybody else.
func (p *Portal) endOf(r *http.Request) notice {
	if reason, ended := p.o.Sessions.EndReason(r); ended {
		return noticeOf(reason)
	}
	return ""
}

// noticeAge is how long the page that shows a notice may take to be asked for.
const noticeAge = time.Minute

// onAccount is the notice's text on the account page; none for the words of
// other pages, and for those that are not ours.
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

// onLogin is the notice's text on the login page, to somebody who is not signed
// in; as onAccount.
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

// leaveNotice puts the notice into the answer, for the page that comes next.
func (p *Portal) leaveNotice(w http.ResponseWriter, r *http.Request, n notice) {
	p.o.Cookies.Set(w, r, auth.CookieNotice, string(n), noticeAge)
}

// takeNotice returns the notice that came with the request, and takes its
// cookie away; "" when there is none.
func (p *Portal) takeNotice(w http.ResponseWriter, r *http.Request) notice {
	cookies := r.CookiesNamed(p.o.Cookies.Name(r, auth.CookieNotice))
	if len(cookies) == 0 {
		return ""
	}
	p.o.Cookies.Set(w, r, auth.CookieNotice, "", -time.Second)
	return notice(cookies[0].Value)
}
