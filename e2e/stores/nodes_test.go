//go:build e2e

package stores_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
)

// A backend is a store that nodes share, with what can happen to it.
type backend struct {
	name string
	// start gives a server of the test's own.
	start func(t *testing.T) *backing
}

// A backing is the server of a test.
type backing struct {
	addr    string                   // host:port
	listen  string                   // what a client sends to hear announcements, in lower case
	session func(addr string) string // lines of the section session, for the server at the address
	trouble map[string]func() func() // each begins a trouble, and gives what ends it
	reads   map[string]bool          // troubles in which sessions can be read still
	away    func() (back func())     // ends the server, and starts it with the same data
}

// backends are the stores that nodes can share.
var backends = []backend{{"redis", startRedisBacking}, {"postgres", startPostgresBacking}}

// nodeSecret signs the cookies of all nodes.
const nodeSecret = "vT9wq2LrXm7sK4dPz8YbN1cHf6GjR3uE5oAi0DkWQZs" //nolint:gosec // of the tests

func startRedisBacking(t *testing.T) *backing {
	t.Helper()
	server := e2e.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	away := func() func() { server.Kill(t); return func() { server.Run(t) } }
	return &backing{
		addr: server.Addr, listen: "subscribe",
		session: func(addr string) string { return "  store: redis\n  redis: {url: \"redis://" + addr + "/0\"}\n" },
		trouble: map[string]func() func(){
			"slow": func() func() { server.Pause(t); return func() { server.Resume(t) } },
			"gone": away,
			"read-only": func() func() {
				server.Do(t, "replicaof", "127.0.0.1", "1")
				return func() { server.Do(t, "replicaof", "no", "one") }
			},
			"full": func() func() {
				server.Do(t, "config", "set", "maxmemory", "1")
				return func() { server.Do(t, "config", "set", "maxmemory", "0") }
			},
		},
		reads: map[string]bool{"full": true},
		away:  away,
	}
}

func startPostgresBacking(t *testing.T) *backing {
	t.Helper()
	server := e2e.StartPostgres(t)
	url := server.Database(t).URL
	away := func() func() { server.Stop(t); return func() { server.Start(t) } }
	return &backing{
		addr: server.Addr, listen: "listen ",
		session: func(addr string) string {
			return "  store: postgres\n  postgres: {url: \"" + strings.Replace(url, server.Addr, addr, 1) + "\"}\n"
		},
		trouble: map[string]func() func(){
			"slow":      func() func() { server.Pause(t); return func() { server.Resume(t) } },
			"gone":      away,
			"read-only": func() func() { server.ReadOnly(t, true); return func() { server.ReadOnly(t, false) } },
		},
		reads: map[string]bool{"read-only": true},
		away:  away,
	}
}

// node is the configuration of a node.
func (b *backing) node(addr, upstream string) string {
	return "session:\n  secrets: [" + nodeSecret + "]\n" + b.session(addr) + e2e.Standard(upstream)
}

// shared runs f for each store, with a server.
func shared(t *testing.T, f func(t *testing.T, b *backing)) {
	t.Helper()
	t.Parallel()
	for _, store := range backends {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			f(t, store.start(t))
		})
	}
}

// after gives the status of the session on the node, once it can tell: on a
// slow machine the store may be slow, too.
func after(node *e2e.Browser, cookie string) (status int) {
	for deadline := time.Now().Add(e2e.Patience); ; time.Sleep(5 * time.Millisecond) {
		status = node.Fetch("/private", "Cookie: "+cookie).Status
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return status
		}
	}
}

// ends polls until the session is nobody's on the node, and says how long it
// took. No other answer than "yes" and "no" may come meanwhile.
func ends(t *testing.T, node *e2e.Browser, cookie string) time.Duration {
	t.Helper()
	begin := time.Now()
	e2e.Eventually(t, func() error {
		switch status := after(node, cookie); status {
		case http.StatusUnauthorized:
			return nil
		case http.StatusOK:
			return errors.New("the session is good still")
		default:
			t.Fatalf("status %d", status)
			return nil
		}
	})
	return time.Since(begin)
}

// TestNodesShare: a login at one node is one at the other, and so is every end
// of it, within a second; what is open there is cut.
func TestNodesShare(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		app := serveStreams(t)
		a := e2e.Start(t, e2e.HTTP1, store.node(store.addr, app))
		b := e2e.Start(t, e2e.HTTP1, store.node(store.addr, app))
		alice, there := a.Browser(t), b.Browser(t)
		for name, end := range map[string]func(){
			"logout":                alice.Logout,
			"session revoke --user": func() { a.Must(t, "", "session", "revoke", "--user", "alice") },
			"session revoke --all":  func() { a.Must(t, "", "session", "revoke", "--all") },
		} {
			best := time.Hour // the machine does other things as well
			for range 3 {
				alice.Login("alice", e2e.Password)
				cookie := alice.CookieLine()
				if status := after(there, cookie); status != http.StatusOK {
					t.Fatalf("%s: signed in at one node, the other says %d", name, status)
				}
				stream := there.Stream(there.Request("GET", "/events?every=50", nil, "Cookie: "+cookie))
				if _, err := stream.Read(make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
				end()
				best = min(best, ends(t, there, cookie))
				cut := time.Now()
				_, _ = io.Copy(io.Discard, stream)
				if took := time.Since(cut); took > 3*time.Second*time.Duration(e2e.Slower()) {
					t.Errorf("%s: a stream at the other node went on for %s", name, took)
				}
				if best < time.Second {
					break
				}
			}
			if best > time.Second {
				t.Errorf("%s: the other node learned it after %s, want a second at most", name, best)
			}
		}
	})
}

// serveStreams starts an application with pages and event streams.
func serveStreams(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/events", demo.New())
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// TestNodeCutOff: a node that hears nothing any more is behind by no more than
// the few seconds that it believes what it has read, whether its connection is
// cut or nothing comes through; and it hears again by itself.
func TestNodeCutOff(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		app := e2e.Serve(t, "app")
		cutter := e2e.StartCutter(t, store.addr, store.listen)
		a := e2e.Start(t, e2e.HTTP1, store.node(store.addr, app))
		b := e2e.Start(t, e2e.HTTP1, store.node(cutter.Addr, app))
		alice, there := a.Browser(t), b.Browser(t)
		for name, trouble := range map[string]func(){
			"cut":  func() { cutter.Deafen(true); cutter.Cut() },
			"deaf": func() { cutter.Deafen(true) },
		} {
			alice.Login("alice", e2e.Password)
			cookie := alice.CookieLine()
			trouble()
			if status := after(there, cookie); status != http.StatusOK {
				t.Fatalf("%s: %d, want 200", name, status)
			}
			alice.Logout()
			took := ends(t, there, cookie)
			t.Logf("%s: behind for %s", name, took)
			if took > 4*time.Second*time.Duration(e2e.Slower()) {
				t.Errorf("%s: the node was behind for %s", name, took)
			}
			cutter.Deafen(false)
		}
		best := time.Hour
		for deadline := time.Now().Add(e2e.Patience); best > time.Second && time.Now().Before(deadline); {
			alice.Login("alice", e2e.Password)
			cookie := alice.CookieLine()
			if status := after(there, cookie); status != http.StatusOK {
				t.Fatalf("afterwards: %d, want 200", status)
			}
			alice.Logout()
			best = min(best, ends(t, there, cookie))
		}
		if best > time.Second {
			t.Errorf("afterwards the node learns of a logout after %s, as if it heard nothing", best)
		}
	})
}

// TestNodesNeverGoBack: the two races of Django's cached_db, a reader that puts
// the old record back into the cache of its node, and the cache of another
// node: once a node has said no, it never says yes again, while all nodes are
// asked without a pause.
func TestNodesNeverGoBack(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		app := e2e.Serve(t, "app")
		var nodes []*e2e.Gate
		for range 2 {
			nodes = append(nodes, e2e.Start(t, e2e.HTTP1, store.node(store.addr, app)))
		}
		alice := nodes[0].Browser(t)
		for range 5 {
			alice.Login("alice", e2e.Password)
			cookie := alice.CookieLine()
			ctx, stop := context.WithCancel(t.Context())
			var readers sync.WaitGroup
			for _, node := range nodes {
				for range 2 {
					reader := node.Browser(t)
					readers.Go(func() {
						for gone := false; ctx.Err() == nil; {
							answer, err := reader.Try(reader.Request("GET", "/private", nil, "Cookie: "+cookie))
							switch {
							case err != nil || answer.Status == http.StatusServiceUnavailable:
							case answer.Status == http.StatusUnauthorized:
								gone = true
							case answer.Status != http.StatusOK || gone:
								t.Errorf("status %d, when it was 401 before: %t", answer.Status, gone)
								return
							}
						}
					})
				}
			}
			watcher := nodes[1].Browser(t)
			after(watcher, cookie)
			alice.Logout()
			if status := after(nodes[0].Browser(t), cookie); status != http.StatusUnauthorized {
				t.Errorf("the node of the logout says %d after it", status)
			}
			ends(t, watcher, cookie)
			for range 50 {
				after(watcher, cookie)
			}
			stop()
			readers.Wait()
		}
	})
}

// readiness asks the admin listener.
func readiness(t *testing.T, admin string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestStoreInTrouble: whatever befalls the store, public paths go on,
// protected ones cannot tell, nobody is sent to the login page or signed out,
// and all is well again afterwards.
func TestStoreInTrouble(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		admin := e2e.FreeAddr(t)
		gate := e2e.Start(t, e2e.HTTP1, "admin: {listen: "+admin+"}\n"+store.node(store.addr, e2e.Serve(t, "app")))
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		visitor := gate.Browser(t)
		form := visitor.Visit("/_gate/login")
		for name, begin := range store.trouble {
			t.Log(name)
			end := begin()
			e2e.Eventually(t, func() error {
				switch status := alice.Fetch("/private").Status; status {
				case http.StatusServiceUnavailable:
					return nil
				case http.StatusOK:
					if store.reads[name] {
						return nil
					}
					return fmt.Errorf("status %d", status) // it believes for a while what it has read
				default:
					t.Fatalf("%s: status %d", name, status)
					return nil
				}
			})
			begun := time.Now()
			if a := alice.Visit("/private"); a.Status != http.StatusServiceUnavailable && (!store.reads[name] || a.Status != http.StatusOK) {
				t.Errorf("%s: a navigation gets %d, Location %q, want 503", name, a.Status, a.Location())
			}
			if took := time.Since(begun); took > 5*time.Second*time.Duration(e2e.Slower()) {
				t.Errorf("%s: the answer took %s", name, took)
			}
			if a := alice.Fetch("/public/page"); a.Status != http.StatusOK {
				t.Errorf("%s: a public path gets %d", name, a.Status)
			}
			login := map[string][]string{"username": {"bob"}, "password": {e2e.Password}, "next": {"/"}, "csrf_token": {visitor.Token(form)}}
			if a := visitor.Submit("/_gate/login", login); a.Status != http.StatusServiceUnavailable {
				t.Errorf("%s: a login gets %d, want 503", name, a.Status)
			}
			e2e.Eventually(t, func() error {
				if status := readiness(t, admin); status != http.StatusServiceUnavailable {
					return fmt.Errorf("%s: /readyz says %d", name, status)
				}
				return nil
			})
			end()
			e2e.Eventually(t, func() error {
				if status := readiness(t, admin); status != http.StatusOK {
					return fmt.Errorf("after %s /readyz says %d", name, status)
				}
				return nil
			})
			if a := alice.Fetch("/private"); a.Status != http.StatusOK {
				t.Errorf("after %s alice is signed out: %d", name, a.Status)
			}
		}
		visitor.Login("bob", e2e.Password)
	})
}

// TestStartWithoutStore: a gate that starts while its store is away serves
// what is public, is not ready, and becomes so.
func TestStartWithoutStore(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		back := store.away()
		admin := e2e.FreeAddr(t)
		gate := e2e.Start(t, e2e.HTTP1, "admin: {listen: "+admin+"}\n"+store.node(store.addr, e2e.Serve(t, "app")))
		alice := gate.Browser(t)
		if a := alice.Fetch("/public/page"); a.Status != http.StatusOK {
			t.Errorf("a public path gets %d", a.Status)
		}
		if status := readiness(t, admin); status != http.StatusServiceUnavailable {
			t.Errorf("/readyz says %d", status)
		}
		if a := alice.TryLogin("alice", e2e.Password, "/"); a.Status != http.StatusServiceUnavailable {
			t.Errorf("a login gets %d, want 503", a.Status)
		}
		back()
		e2e.Eventually(t, func() error {
			if status := readiness(t, admin); status != http.StatusOK {
				return fmt.Errorf("/readyz says %d", status)
			}
			return nil
		})
		alice.Login("alice", e2e.Password)
		if a := alice.Fetch("/private"); a.Status != http.StatusOK {
			t.Errorf("signed in: %d", a.Status)
		}
	})
}
