package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

func TestBusyGrowsNoSlowerThanWeDo(t *testing.T) {
	all, err := busy()
	if err != nil || all < ownTime() {
		t.Errorf("%s, of which %s are ours: %v", all, ownTime(), err)
	}
}

// TestSignIn: the form's token is sent back, with the cookies that came with
// it, and what comes out is what a browser sends afterwards.
func TestSignIn(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.SetCookie(w, &http.Cookie{Name: "before", Value: "1", Path: "/login"}) //nolint:gosec // plain HTTP
			_, _ = w.Write([]byte(`<input type="hidden" name="csrf_token" value="a&amp;b">`))
			return
		}
		c, err := r.Cookie("before")
		if err != nil || c.Value != "1" || r.FormValue("csrf_token") != "a&b" || r.FormValue("username") != "alice" || r.FormValue("password") != password {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/"}) //nolint:gosec // plain HTTP
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}))
	defer site.Close()
	cookie, err := signIn(t.Context(), site.URL, "/login")
	if err != nil || cookie != "session=s" {
		t.Errorf("%q, %v", cookie, err)
	}
}

// TestCheckRefusesAnOpenGate: a target that lets everybody through would look
// fast.
func TestCheckRefusesAnOpenGate(t *testing.T) {
	for _, c := range []struct {
		name, cookie, user string
		open, ok           bool
	}{
		{"a gate", "a=b", "alice", false, true},
		{"a plain proxy", "", "alice", true, true},
		{"an open gate", "a=b", "alice", true, false},
		{"a gate without identity", "a=b", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !c.open && r.Header.Get("Cookie") == "" {
					w.WriteHeader(http.StatusUnauthorized)
				}
				_, _ = w.Write([]byte("user=" + c.user + "\n"))
			}))
			defer site.Close()
			tg := target{name: "x", cookie: c.cookie, service: service{addr: site.Listener.Addr().String()}}
			if err := tg.check(t.Context()); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestLookUps fills a small store and finds what is in it.
func TestLookUps(t *testing.T) {
	l := &lab{o: options{sessions: 100}, progress: t.Output()}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
	cost, err := l.lookUps(t.Context(), dir)
	if err != nil || cost.cached <= 0 || cost.cold <= 0 {
		t.Errorf("%+v, %v", cost, err)
	}
}
