package engine

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A session that ends breaks off what is under way for it: while the upstream
// is silent, and in the middle of an answer.
func TestBreaker(t *testing.T) {
	for name, upstream := range map[string]func(t *testing.T, addr string) Upstream{
		"http1": func(_ *testing.T, addr string) Upstream {
			return NewHTTP1(HTTP1Options{Address: addr, Timeouts: short})
		},
		"transport": func(_ *testing.T, addr string) Upstream {
			return NewTransport(TransportOptions{Address: addr, Timeouts: short})
		},
	} {
		t.Run(name, func(t *testing.T) {
			reached := make(chan struct{}, 1)
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/half" {
					_, _ = io.WriteString(w, "half")
					w.(http.Flusher).Flush()
				}
				reached <- struct{}{}
				<-r.Context().Done()
			}))
			defer app.Close()
			up := upstream(t, app.Listener.Addr().String())
			defer up.Close()
			var b Canceler
			failed := make(chan error, 1)
			gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					if v := recover(); v != nil {
						failed <- nil
						panic(v)
					}
				}()
				err := up.Forward(w, &Request{In: r, Method: "GET", Target: r.URL.Path, Host: "a.test", Breaker: &b})
				failed <- err
				if err != nil {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			defer gate.Close()
			for _, path := range []string{"/silent", "/half"} {
				b = Canceler{}
				if path == "/silent" {
					go func() { <-reached; b.Break() }()
				}
				resp, err := http.Get(gate.URL + path) //nolint:noctx // the test is over when it ends
				if err != nil {
					t.Fatal(err)
				}
				if path == "/half" {
					_, err = io.ReadFull(resp.Body, make([]byte, 4))
					if err != nil {
						t.Fatal(err)
					}
					b.Break()
				}
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				var e *Error
				switch ferr := <-failed; {
				case path == "/half" && (err == nil || ferr != nil):
					t.Errorf("%s: the visitor reads a whole answer (%v), Forward gives %v", path, err, ferr)
				case path == "/silent" && (!errors.As(ferr, &e) || e.Kind != VisitorFault):
					t.Errorf("%s: Forward gives %v", path, ferr)
				}
			}
		})
	}
}

func TestABrokenBreakerBreaksWhatComesLater(t *testing.T) {
	var b Canceler
	b.Break()
	ended := 0
	if b.Arm(func() { ended++ }) || ended != 1 || !b.Broken() {
		t.Errorf("armed after Break: ended %d times", ended)
	}
	var none *Canceler
	if !none.Arm(func() {}) || none.Broken() {
		t.Error("no breaker is broken")
	}
}
