package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/web"
)

// An actor is an Upstream by a function.
type actor func(w http.ResponseWriter, r *Request) error

func (a actor) Forward(w http.ResponseWriter, r *Request) error { return a(w, r) }
func (actor) Close()                                            {}

// A cast is a Balanced over actors, which fail as fails says, by their IDs.
type cast struct {
	*Balanced
	fails map[string]string // ID: the kind of its failures
	asked []string          // IDs
	log   bytes.Buffer
}

func newCast(t *testing.T, ids ...string) *cast {
	t.Helper()
	c := &cast{fails: map[string]string{}}
	o := BalancedOptions{Log: slog.New(slog.NewTextHandler(&c.log, nil))}
	for _, id := range ids {
		o.Members = append(o.Members, Member{ID: id, Address: id + ".test:80", Upstream: actor(func(_ http.ResponseWriter, r *Request) error {
			c.asked = append(c.asked, id)
			if kind := c.fails[id]; kind != "" {
				return &Error{Kind: kind, Err: errors.New("as told")}
			}
			return r.Answer(http.StatusOK, http.Header{})
		})})
	}
	c.Balanced = NewBalanced(o)
	t.Cleanup(c.Close)
	return c
}

// ask makes a request and returns the members that were asked, and the kind of
// the failure.
func (c *cast) ask(t *testing.T, wanted string) (asked, failure string) {
	t.Helper()
	c.asked = nil
	in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	err := c.Forward(httptest.NewRecorder(), &Request{In: in, Member: wanted})
	return strings.Join(c.asked, " "), kind(err)
}

func (c *cast) expect(t *testing.T, wanted, asked, failure string) {
	t.Helper()
	if a, f := c.ask(t, wanted); a != asked || f != failure {
		t.Errorf("asked %q and failed with %q, want %q and %q", a, f, asked, failure)
	}
}

func TestBalancedTakesTurns(t *testing.T) {
	c := newCast(t, "a", "b", "c")
	for _, want := range []string{"a", "b", "c", "a"} {
		c.expect(t, "", want, "")
	}
	c.expect(t, "c", "c", "")
	c.expect(t, "nobody", "a", "")
}

func TestBalancedChoosesWhoHasLeastToDo(t *testing.T) {
	gates := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	chosen := make(chan string)
	var o BalancedOptions
	for id, gate := range gates {
		o.Members = append(o.Members, Member{ID: id, Upstream: actor(func(http.ResponseWriter, *Request) error {
			<-gate
			return nil
		})})
	}
	b := NewBalanced(o)
	defer b.Close()
	done := make(chan error, 4)
	ask := func() string {
		in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		go func() {
			done <- b.Forward(httptest.NewRecorder(), &Request{In: in, Chosen: func(id string) { chosen <- id }})
		}()
		return <-chosen
	}
	first, second := ask(), ask()
	if first == second {
		t.Fatalf("both went to %s", first)
	}
	gates[second] <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if third := ask(); third != second {
		t.Errorf("the third went to %s, who has one under way", third)
	}
	close(gates["a"])
	close(gates["b"])
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBalancedGoesOnWhenOneCannotBeConnected(t *testing.T) {
	c := newCast(t, "a", "b", "c")
	c.fails["a"], c.fails["b"] = Connect, Connect
	c.expect(t, "", "a b c", "")
	c.expect(t, "", "c", "")
	c.expect(t, "a", "c", "") // stickiness ends with health
	c.fails["c"] = Connect
	c.expect(t, "", "c a b", Connect) // each once, then it is an error
}

func TestBalancedRepeatsNothingElse(t *testing.T) {
	for _, kind := range []string{Timeout, Protocol, Aborted, TooLarge, VisitorFault, Refused, Invalid} {
		c := newCast(t, "a", "b")
		c.fails["a"] = kind
		c.expect(t, "", "a", kind)
	}
}

func TestBalancedPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCast(t, "a", "b")
		c.fails["a"] = Connect
		c.expect(t, "", "a b", "")
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
			time.Sleep(time.Duration(seconds)*time.Second - time.Millisecond)
			c.expect(t, "a", "b", "")
			time.Sleep(time.Millisecond)
			c.expect(t, "a", "a b", "")
			c.expect(t, "a", "b", "") // one request is enough to know
		}
		time.Sleep(time.Minute)
		c.fails["a"] = ""
		c.expect(t, "a", "a", "")
		c.fails["a"] = Connect
		c.expect(t, "a", "a b", "")
		time.Sleep(time.Second) // the pause began anew
		c.expect(t, "a", "a b", "")
	})
}

func TestBalancedOneRequestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var down atomic.Bool
		down.Store(true)
		asked := make(chan string, 10)
		member := func(id string) Member {
			return Member{ID: id, Upstream: actor(func(_ http.ResponseWriter, r *Request) error {
				asked <- id
				if id == "b" {
					return nil
				}
				if down.Load() {
					return &Error{Kind: Connect, Err: errors.New("down")}
				}
				<-release
				err := r.Answer(http.StatusOK, http.Header{})
				<-release // the answer goes on for long
				return err
			})}
		}
		b := NewBalanced(BalancedOptions{Members: []Member{member("a"), member("b")}})
		defer b.Close()
		ask := func() {
			in := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			_ = b.Forward(httptest.NewRecorder(), &Request{In: in, Member: "a"})
		}
		expect := func(want string) {
			t.Helper()
			if id := <-asked; id != want {
				t.Errorf("%s was asked, want %s", id, want)
			}
		}
		ask()
		expect("a")
		expect("b")
		time.Sleep(time.Second)
		down.Store(false)
		go ask()
		expect("a") // it tries
		ask()
		expect("b") // meanwhile nobody else does
		release <- struct{}{}
		synctest.Wait()
		go ask()
		expect("a") // it answered, which is enough
		close(release)
		synctest.Wait()
	})
}

func TestBalancedCountsFailuresInARow(t *testing.T) {
	c := newCast(t, "a", "b")
	for range failuresInRow - 1 {
		c.fails["a"] = Timeout
		c.expect(t, "a", "a", Timeout)
	}
	c.fails["a"] = ""
	c.expect(t, "a", "a", "")
	c.fails["a"] = Aborted
	for range failuresInRow {
		c.expect(t, "a", "a", Aborted)
	}
	c.expect(t, "a", "b", "")
}

func TestBalancedWithAllOutAsksWhoFailedLongestAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCast(t, "a", "b")
		c.fails["a"], c.fails["b"] = Connect, Connect
		c.expect(t, "b", "b a", Connect)
		time.Sleep(time.Millisecond)
		c.fails["a"], c.fails["b"] = Timeout, Timeout
		c.expect(t, "a", "b", Timeout)
		time.Sleep(time.Millisecond)
		c.expect(t, "b", "a", Timeout)
		c.fails["b"] = ""
		c.expect(t, "a", "b", "")
		c.expect(t, "a", "b", "") // it is back by its answer
	})
}

func TestBalancedLogsChangesAlone(t *testing.T) {
	c := newCast(t, "a", "b")
	c.fails["a"], c.fails["b"] = Connect, Connect
	for range 3 {
		c.expect(t, "a", "a b", Connect)
	}
	c.fails["a"], c.fails["b"] = "", ""
	for range 3 {
		c.ask(t, "")
	}
	var got []string
	for line := range strings.Lines(c.log.String()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`WARN msg="upstream is out" upstream=a.test:80 error="connect: as told"`,
		`WARN msg="upstream is out" upstream=b.test:80 error="connect: as told"`,
		`INFO msg="upstream is back" upstream=a.test:80`,
	}
	if len(got) < 3 || !slices.Equal(got[:3], want) {
		t.Errorf("log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestBalancedForgetsARequestThatPanicked(t *testing.T) {
	var o BalancedOptions
	for _, id := range []string{"a", "b"} {
		o.Members = append(o.Members, Member{ID: id, Upstream: actor(func(http.ResponseWriter, *Request) error { panic(http.ErrAbortHandler) })})
	}
	b := NewBalanced(o)
	defer b.Close()
	func() {
		defer func() { _ = recover() }()
		_ = b.Forward(httptest.NewRecorder(), &Request{In: httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)})
	}()
	for _, m := range b.members {
		if m.active != 0 || m.isOut() {
			t.Errorf("%s: %d under way, out: %v", m.ID, m.active, m.isOut())
		}
	}
}

func TestBalancedStopsWhenTheVisitorLeft(t *testing.T) {
	c := newCast(t, "a", "b")
	c.fails["a"] = Connect
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err := c.Forward(httptest.NewRecorder(), &Request{In: in}); kind(err) != Connect || len(c.asked) != 1 {
		t.Errorf("asked %q, error %v", c.asked, err)
	}
}

func TestHealthChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status atomic.Int32
		status.Store(http.StatusServiceUnavailable)
		var targets []string
		member := func(id string) Member {
			return Member{ID: id, Address: id, Host: id + ".test", Upstream: actor(func(w http.ResponseWriter, r *Request) error {
				if id == "a" {
					targets = append(targets, r.Host+r.Target)
					w.WriteHeader(int(status.Load()))
				} else {
					w.WriteHeader(http.StatusMovedPermanently)
				}
				_, err := w.Write(make([]byte, checkedBody+1))
				if err == nil {
					t.Error("a body without end is read")
				}
				panic(http.ErrAbortHandler)
			})}
		}
		var log bytes.Buffer
		b := NewBalanced(BalancedOptions{
			Members: []Member{member("a"), member("b")},
			Health:  HealthCheck{Path: "/healthz?x", Interval: 10 * time.Second, Timeout: time.Second},
			Log:     slog.New(slog.NewTextHandler(&log, nil)),
		})
		if b.begin("a", nil).member.ID != "a" {
			t.Error("a is not well before the first check")
		}
		time.Sleep(firstCheck)
		synctest.Wait()
		if b.begin("a", nil).member.ID != "b" {
			t.Error("a is asked although it is not well")
		}
		status.Store(http.StatusNoContent)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if b.begin("a", nil).member.ID != "a" {
			t.Error("a is not asked although it is well again")
		}
		b.Close()
		if want := []string{"a.test/healthz?x", "a.test/healthz?x"}; !slices.Equal(targets, want) {
			t.Errorf("checks of %q, want %q", targets, want)
		}
		if text := log.String(); !strings.Contains(text, "status 503") || !strings.Contains(text, "upstream is back") {
			t.Errorf("log: %s", text)
		}
	})
}

func TestHealthCheckHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBalanced(BalancedOptions{
			Members: []Member{{ID: "a", Upstream: actor(func(_ http.ResponseWriter, r *Request) error {
				<-r.In.Context().Done()
				return gone(r.In.Context())
			})}},
			Health: HealthCheck{Path: "/", Interval: time.Hour, Timeout: 2 * time.Second},
		})
		time.Sleep(firstCheck + 3*time.Second)
		synctest.Wait()
		b.mu.Lock()
		if !b.members[0].sick {
			t.Error("who does not answer is well")
		}
		b.mu.Unlock()
		time.Sleep(time.Hour - 2*time.Second) // a check is under way
		b.Close()
	})
}

func TestHealthCheckLetsTheNextRequestTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCast(t, "a", "b")
		c.fails["a"] = Connect
		c.expect(t, "a", "a b", "")
		c.fails["a"] = ""
		c.expect(t, "a", "b", "")
		c.mu.Lock()
		c.members[0].checked(time.Now(), true)
		c.mu.Unlock()
		c.expect(t, "a", "a", "")
	})
}

// deadAddress is one where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	shut(l)
	return l.Addr().String()
}

// TestBalancedKeepsTheBody sends bodies of every kind by way of a member that
// cannot be connected.
func TestBalancedKeepsTheBody(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(bytes.ToUpper(b))
	}))
	defer app.Close()
	good, dead := app.Listener.Addr().String(), deadAddress(t)
	bodies := map[string]string{
		"none":    "Content-Length: 0\r\n\r\n",
		"small":   "Content-Length: 5\r\n\r\nhello",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"expect":  "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
		"large":   "Content-Length: 100000\r\n\r\n" + strings.Repeat("hello", 20000),
	}
	makers := map[string]func(address string) Upstream{
		"http1":     func(a string) Upstream { return NewHTTP1(HTTP1Options{Address: a, Timeouts: short}) },
		"transport": func(a string) Upstream { return NewTransport(TransportOptions{Address: a, Timeouts: short}) },
	}
	for engine, make := range makers {
		for name, body := range bodies {
			t.Run(engine+" "+name, func(t *testing.T) {
				b := NewBalanced(BalancedOptions{Members: []Member{{ID: "dead", Upstream: make(dead)}, {ID: "good", Upstream: make(good)}}})
				var chosen []string
				h := http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
					r := request(in)
					r.Chosen = func(id string) { chosen = append(chosen, id) }
					if err := b.Forward(w, r); err != nil {
						t.Errorf("error %v", err)
						w.WriteHeader(http.StatusBadGateway)
					}
				})
				front := httptest.NewServer(web.Chain(h, web.RecordAnswer()))
				defer b.Close()
				defer front.Close()
				c, err := new(net.Dialer).DialContext(t.Context(), "tcp", front.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer shut(c)
				say(c, "POST / HTTP/1.1\r\nHost: a.test\r\n"+body)
				br := bufio.NewReader(c)
				res, err := http.ReadResponse(br, nil) //nolint:bodyclose // the connection is closed, and the body with it
				if err == nil && res.StatusCode == http.StatusContinue {
					res, err = http.ReadResponse(br, nil) //nolint:bodyclose // the connection is closed, and the body with it
				}
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(res.Body)
				want := map[string]int{"none": 0, "large": 100000}
				if n, ok := want[name]; !ok && string(got) != "HELLO" || ok && len(got) != n {
					t.Errorf("%d %.40q", res.StatusCode, got)
				}
				if res.Close {
					t.Error("the visitor's connection is closed for nothing")
				}
				if !slices.Equal(chosen, []string{"dead", "good"}) {
					t.Errorf("asked %q", chosen)
				}
			})
		}
	}
}
