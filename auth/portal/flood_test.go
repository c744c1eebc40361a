package portal_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/limit"
)

// One client floods the login page over sixteen connections; of 32 others,
// nearly all must sign in.
func TestFloodLeavesOthersTheirLogins(t *testing.T) {
	for name, attack := range map[string]func(b *browser, i int64) (user, password string){
		"from changing networks": func(b *browser, i int64) (string, string) {
			b.addr = fmt.Sprintf("2001:db8:%x:%x::1", i%65536, i%7)
			return fmt.Sprint("nobody", i), "wrong"
		},
		"with the right password of an account": func(b *browser, _ int64) (string, string) {
			b.addr = "198.51.100.1"
			return "bob", bobsPassword
		},
		"with it from changing networks": func(b *browser, i int64) (string, string) {
			b.addr = fmt.Sprintf("2001:db8:%x:%x::1", i%65536, i%7)
			return "bob", bobsPassword
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, theDefaults, func(g *gate) { g.queue = limit.NewSemaphore(2, 64*2, 5*time.Second) })
			g.work(func(float64) { time.Sleep(3 * time.Millisecond) })
			var stop atomic.Bool
			var n, hashed atomic.Int64
			var wg sync.WaitGroup
			defer wg.Wait()
			defer stop.Store(true)
			for range 16 {
				wg.Go(func() {
					b := g.browser(t)
					token := b.token("/_gate/login")
					for !stop.Load() {
						user, password := attack(b, n.Add(1))
						if a := b.post("/_gate/login", "csrf_token", token, "username", user, "password", password); a.StatusCode != http.StatusTooManyRequests {
							hashed.Add(1)
						}
						if b.cookies()["gatehouse"] != "" { // begin anew
							b = g.browser(t)
							token = b.token("/_gate/login")
						}
					}
				})
			}
			for hashed.Load() < 30 {
				time.Sleep(time.Millisecond)
			}
			in := 0
			for i := range 32 {
				b := g.browser(t)
				b.addr = fmt.Sprintf("203.0.113.%d", i+1)
				if b.login("alice", alicesPassword).StatusCode == http.StatusSeeOther {
					in++
				}
			}
			if in < 31 {
				t.Errorf("%d of 32 signed in", in)
			}
		})
	}
}
