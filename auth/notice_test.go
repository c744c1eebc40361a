package auth_test

import (
	"net/http"
	"strings"
	"testing"
)

// What was done stood in the address, so that a reload or a bookmark said it
// again, and anybody's link said it of what nobody had done.
func TestAccountPageSaysOnceWhatWasDone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*gate)
		cookie string
	}{
		"http":  {func(*gate) {}, "gatehouse_notice"},
		"https": {withTLS, "__Host-gatehouse_notice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const done = "All your other devices are signed out."
			b := newGate(t, test.change).browser(t).signIn("alice", alicesPassword)
			a := b.post("/_gate/sessions/end-others", "csrf_token", b.token("/_gate/")).want(t, http.StatusSeeOther, "/_gate/")
			if b.cookies()[test.cookie] != "others" {
				t.Fatalf("no cookie %s: %q", test.cookie, a.Header["Set-Cookie"])
			}
			if !strings.Contains(b.get("/_gate/").body, done) {
				t.Error("the page does not say what was done")
			}
			if strings.Contains(b.get("/_gate/").body, done) {
				t.Error("the page says it again when it is loaded again")
			}
			if b.cookies()[test.cookie] != "" {
				t.Error("the cookie stays")
			}
			if strings.Contains(b.get("/_gate/?done=others").body, done) {
				t.Error("a link makes the page say what nobody has done")
			}
			b.setCookie(test.cookie, "<b>planted</b>")
			if strings.Contains(b.get("/_gate/").body, "planted") {
				t.Error("the page shows the words of a cookie")
			}
		})
	}
}
