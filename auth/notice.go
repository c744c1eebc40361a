package auth

import (
	"net/http"
	"time"

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
)

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
	}
	return lang.Text{}
}

// leaveNotice puts the notice into the answer, for the page that comes next.
func (a *Auth) leaveNotice(w http.ResponseWriter, r *http.Request, n notice) {
	a.setCookie(w, r, noticeCookie, string(n), noticeAge)
}

// takeNotice returns the notice that came with the request, and takes its
// cookie away; "" when there is none.
func (a *Auth) takeNotice(w http.ResponseWriter, r *http.Request) notice {
	cookies := r.CookiesNamed(a.cookieName(r, noticeCookie))
	if len(cookies) == 0 {
		return ""
	}
	a.setCookie(w, r, noticeCookie, "", -time.Second)
	return notice(cookies[0].Value)
}

const noticeCookie = "notice"
