//go:build e2e

package gate_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// A device is a browser with a name and an address of its own.
type device struct {
	*e2e.Browser
	agent, addr string
}

func (d device) headers() []string {
	return []string{"User-Agent: " + d.agent, "X-Forwarded-For: " + d.addr}
}

func (d device) open(path string) e2e.Answer { return d.Visit(path, d.headers()...) }

// signIn fills in the login form, with the box ticked or not.
func (d device) signIn(t *testing.T, name, password string, remember bool) e2e.Answer {
	t.Helper()
	form := url.Values{"username": {name}, "password": {password}, "next": {"/after"}, "csrf_token": {d.Token(d.open("/_gate/login"))}}
	if remember {
		form.Set("remember", "1")
	}
	a := d.Submit("/_gate/login", form, d.headers()...)
	if a.Status != http.StatusSeeOther {
		t.Fatalf("login of %s: %d\n%s", name, a.Status, a.Body)
	}
	return a
}

// send posts a form of the account page.
func (d device) send(t *testing.T, path string, fields ...string) e2e.Answer {
	t.Helper()
	form := url.Values{"csrf_token": {d.Token(d.open("/_gate/"))}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return d.Submit(path, form, d.headers()...)
}

// A listing is a session on the account page: its handle, and what is said of it.
type listing struct{ handle, text string }

var endButton = regexp.MustCompile(`name="session" value="([0-9a-f]{16})"`)

// sessions are those on the account page.
func (d device) sessions() (list []listing) {
	body := d.open("/_gate/").Body
	at := 0
	for _, m := range endButton.FindAllStringSubmatchIndex(body, -1) {
		list = append(list, listing{body[m[2]:m[3]], body[at:m[0]]})
		at = m[1]
	}
	return list
}

func (d device) alive(t *testing.T) bool {
	t.Helper()
	a := d.Fetch("/private", d.headers()...)
	if a.Status != http.StatusOK && a.Status != http.StatusUnauthorized {
		t.Errorf("/private: %d", a.Status)
	}
	return a.Status == http.StatusOK
}

const (
	onLinux  = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	onIPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	onWork   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)

// TestMySessions is the account page as its owner uses it.
//
// Django 105, 123, 126.
func TestMySessions(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate := e2e.Start(t, m, "trusted_proxies: [127.0.0.0/8]\n"+e2e.Standard(e2e.Serve(t, "app")))
		const first, second = "staple battery horse correct", "a wholly new pass phrase"
		for _, name := range []string{"dave", "erin"} {
			gate.Must(t, first+"\n", "user", "add", name, "--password-stdin")
		}
		devices := []device{
			{gate.Browser(t), onLinux, "192.0.2.10"}, {gate.Browser(t), onIPhone, "198.51.100.20"}, {gate.Browser(t), onWork, "2001:db8::30"},
		}
		here, phone, work := devices[0], devices[1], devices[2]
		for _, d := range devices {
			d.signIn(t, "dave", first, false)
		}
		erin := device{gate.Browser(t), onLinux, "203.0.113.40"}
		erin.signIn(t, "erin", first, false)

		list := here.sessions()
		if len(list) != 3 {
			t.Fatalf("%d sessions, want 3:\n%s", len(list), here.open("/_gate/").Body)
		}
		handles := map[string]string{} // by address
		for i, s := range list {
			if mine := strings.Contains(s.text, "This device"); mine != (i == 0) {
				t.Errorf("session %d is marked as this one: %t\n%s", i, mine, s.text)
			}
			if n := strings.Count(s.text, "<time datetime="); n != 2 {
				t.Errorf("session %d tells %d times, want the first and the last use\n%s", i, n, s.text)
			}
			for _, want := range [][2]string{{"192.0.2.10", "Firefox"}, {"198.51.100.20", "iPhone"}, {"2001:db8::30", "Windows"}} {
				if strings.Contains(s.text, want[0]) {
					handles[want[0]] = s.handle
					if !strings.Contains(s.text, want[1]) {
						t.Errorf("the session from %s is not on %s\n%s", want[0], want[1], s.text)
					}
				}
			}
			if strings.Contains(s.text, "203.0.113.40") {
				t.Error("a session of erin's")
			}
		}
		if len(handles) != 3 || !strings.Contains(list[0].text, here.addr) {
			t.Fatalf("by address: %v, the first is\n%s", handles, list[0].text)
		}

		// Nobody ends another's session, and a stolen handle opens nothing.
		erin.send(t, "/_gate/sessions/end", "session", handles[phone.addr])
		if a := gate.Browser(t).Fetch("/private", "Cookie: "+m.Cookie+"="+handles[phone.addr]); a.Status != http.StatusUnauthorized {
			t.Errorf("the handle as a cookie: %d", a.Status)
		}
		if !phone.alive(t) {
			t.Error("erin has ended a session of dave's")
		}
		here.send(t, "/_gate/sessions/end", "session", handles[phone.addr])
		if phone.alive(t) || !work.alive(t) || !here.alive(t) {
			t.Error("not exactly the phone's session has ended")
		}
		phone.signIn(t, "dave", first, false)
		here.send(t, "/_gate/sessions/end-others")
		if phone.alive(t) || work.alive(t) || !here.alive(t) || !erin.alive(t) {
			t.Error("not exactly the others have ended")
		}

		work.signIn(t, "dave", first, false)
		old, page := here.CookieLine(), here.Token(here.open("/_gate/"))
		a := here.send(t, "/_gate/password", "old_password", first, "new_password", second, "new_password_again", second)
		if a.Status != http.StatusSeeOther || here.CookieLine() == old {
			t.Fatalf("change of the password: %d, the same id %t\n%s", a.Status, here.CookieLine() == old, a.Body)
		}
		if !here.alive(t) || work.alive(t) || len(here.sessions()) != 1 {
			t.Errorf("after the change: here %t, at work %t, %d sessions", here.alive(t), work.alive(t), len(here.sessions()))
		}
		if a := gate.Browser(t).Fetch("/private", "Cookie: "+old); a.Status != http.StatusUnauthorized {
			t.Errorf("the id from before: %d", a.Status)
		}
		if a := here.Submit("/_gate/sessions/end-others", url.Values{"csrf_token": {page}}); a.Status != http.StatusForbidden {
			t.Errorf("a form from before: %d", a.Status)
		}
		// One that is this one signs out.
		if a := here.send(t, "/_gate/sessions/end", "session", here.sessions()[0].handle); a.Status != http.StatusSeeOther || here.alive(t) || here.Cookie() != "" {
			t.Errorf("to end this session: %d, alive %t, cookie %q", a.Status, here.alive(t), here.Cookie())
		}
	})
}

// TestMostSessionsOfOnePerson: max_per_user ends the oldest, by the time of
// the login, whatever was used since.
func TestMostSessionsOfOnePerson(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP2, "session: {max_per_user: 2}\n"+e2e.Standard(e2e.Serve(t, "app")))
	bob := device{gate.Browser(t), onLinux, "192.0.2.1"}
	bob.signIn(t, "bob", e2e.Password, false)
	var all []device
	for i := range 4 {
		d := device{gate.Browser(t), onLinux, "192.0.2.1"}
		d.signIn(t, "alice", e2e.Password, false)
		all = append(all, d)
		for n, d := range all {
			if want := n > i-2; d.alive(t) != want {
				t.Errorf("after login %d session %d should be alive: %t", i, n, want)
			}
		}
	}
	if n := len(all[3].sessions()); n != 2 || !bob.alive(t) {
		t.Errorf("%d sessions are left, bob's lives: %t", n, bob.alive(t))
	}
	gate.AwaitLog(t, `"reason":"limit"`)
}

// restarted gives a browser that was closed and opened again: it keeps the
// cookies that have a time.
func restarted(t *testing.T, gate *e2e.Gate, old device, login e2e.Answer) device {
	t.Helper()
	b := gate.Browser(t)
	u, err := url.Parse(b.Base)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range login.Header["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && (c.MaxAge > 0 || c.RawExpires != "") {
			b.Jar.SetCookies(u, []*http.Cookie{c})
		}
	}
	return device{b, old.agent, old.addr}
}

// TestKeepMeSignedIn: who ticks the box stays for remember_me, used or not,
// over the end of the browser and of the gate; who does not, ends with the
// browser, and after the idle time.
func TestKeepMeSignedIn(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTPS1, "session: {idle_timeout: 1s, max_age: 12h, remember_me: 30d, browser_session: true}\n"+e2e.Standard(e2e.Serve(t, "app")))
	kept, plain := device{gate.Browser(t), onLinux, "192.0.2.1"}, device{gate.Browser(t), onLinux, "192.0.2.1"}
	if !strings.Contains(kept.open("/_gate/login").Body, `name="remember"`) {
		t.Error("the box is not offered")
	}
	long, short := kept.signIn(t, "alice", e2e.Password, true), plain.signIn(t, "alice", e2e.Password, false)
	for a, want := range map[*e2e.Answer]int{&long: 30 * 24 * 3600, &short: 0} {
		for _, line := range a.Header["Set-Cookie"] {
			if c, err := http.ParseSetCookie(line); err == nil && c.Name == gate.Mode.Cookie && (c.MaxAge < want-60 || c.MaxAge > want) {
				t.Errorf("Max-Age %d, want %d: %s", c.MaxAge, want, line)
			}
		}
	}
	again := restarted(t, gate, kept, long)
	if !again.alive(t) || restarted(t, gate, plain, short).alive(t) {
		t.Error("the end of the browser ends the wrong session")
	}
	e2e.Eventually(t, func() error {
		if plain.SignedInAs() != "" {
			return errors.New("the session without the box has no idle time")
		}
		return nil
	})
	gate.Stop(t)
	gate.Run(t)
	s := state(t, again)
	if s.User != "alice" || s.Idle != nil || s.Remaining == nil || *s.Remaining < 29*24*3600 {
		t.Errorf("kept: %+v", s)
	}
	if !again.alive(t) {
		t.Error("the session that was to be kept has ended")
	}
}

type sessionState struct {
	Authenticated bool
	User          string
	Idle          *int64 `json:"idle_remaining"`
	Remaining     *int64 `json:"remaining"`
}

func state(t *testing.T, d device) (s sessionState) {
	t.Helper()
	a := d.Fetch("/_gate/session", d.headers()...)
	if err := json.Unmarshal([]byte(a.Body), &s); err != nil || a.Status != http.StatusOK {
		t.Fatalf("/_gate/session: %d, %v\n%s", a.Status, err, a.Body)
	}
	return s
}

// TestAskingDoesNotKeepASession: a page that asks how long the session lasts
// may do so all day: it ends all the same, and is told so.
func TestAskingDoesNotKeepASession(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, "session: {idle_timeout: 2s, max_age: 1h}\n"+e2e.Standard(e2e.Serve(t, "app")))
	d := device{gate.Browser(t), onLinux, "192.0.2.1"}
	d.signIn(t, "alice", e2e.Password, false)
	last, asked := int64(2), 0
	for deadline := time.Now().Add(e2e.Patience); ; asked++ {
		s := state(t, d)
		if !s.Authenticated {
			if s.User != "" || s.Idle == nil || *s.Idle != 0 || s.Remaining == nil || *s.Remaining != 0 {
				t.Errorf("at the end: %+v", s)
			}
			break
		}
		if s.Idle == nil || *s.Idle > last {
			t.Fatalf("asking has extended the session: %v after %d", s.Idle, last)
		}
		last = *s.Idle
		if time.Now().After(deadline) {
			t.Fatal("the session does not end while a page asks")
		}
		time.Sleep(50 * time.Millisecond) // as a page does
	}
	if d.alive(t) {
		t.Error("the session still opens something")
	}
	gate.AwaitLog(t, "session.expired")
	if asked == 0 {
		t.Error("nothing was asked")
	}
}
