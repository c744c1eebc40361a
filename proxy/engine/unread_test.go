package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// readsNoBodies is a server that reads no body, as Python's BaseHTTPRequestHandler
// does for methods that need none: what is left is the next request to it. For
// whom it takes a request it says in the answer. answered is called after each.
func readsNoBodies(answered func(c net.Conn, head string)) func(c net.Conn, br *bufio.Reader, n int) {
	return func(c net.Conn, br *bufio.Reader, _ int) {
		for {
			head := readHead(br)
			if head == "" {
				return
			}
			who := "nobody"
			for line := range strings.SplitSeq(head, "\r\n") {
				if v, ok := strings.CutPrefix(line, "X-Forwarded-User: "); ok {
					who = v
				}
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nfor %s", len(who)+4, who)
			if answered != nil {
				answered(c, head)
			}
			if strings.Contains(head, "Connection: close\r\n") {
				return
			}
		}
	}
}

const hidden = "GET /admin HTTP/1.1\r\nHost: a\r\nX-Forwarded-User: root\r\n\r\n"

// A server that leaves the body of a request unread takes it for the next
// request: a visitor who sends a request as a body gets it past the rules, in
// anybody's name, and its answer to the visitor who comes next (CL.0).
func TestBodyThatIsNotReadIsNoRequest(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE"} {
		for framing, attack := range map[string]string{
			"length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(hidden), hidden),
			"chunks": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		} {
			t.Run(method+" "+framing, func(t *testing.T) {
				wires(t, func(t *testing.T, start starter) {
					forged := make(chan string, 10)
					_, up := start(t, HTTP1Options{}, readsNoBodies(func(_ net.Conn, head string) {
						if strings.Contains(head, "root") {
							forged <- head
						}
					}))
					g := before(t, up, nil)
					exchangeRaw(t, g, method+" /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+attack)
					for range 3 {
						if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "for nobody") {
							t.Errorf("the next visitor got %q", got)
						}
					}
					if len(forged) > 0 {
						t.Errorf("the upstream took the body for a request: %q", <-forged)
					}
				})
			})
		}
	}
}

// restLonger gives late bytes more time than restTime, because on a machine that
// does other things what is meant to come after 50 ms may come later.
func restLonger(up Upstream) {
	switch up := up.(type) {
	case *HTTP1:
		up.pool.rest = 4 * restTime
	case *HTTPS:
		up.h1.pool.rest = 4 * restTime
	}
}

// The same with POST, where nobody can know in advance that the body is not
// read: the answer to what the upstream found in it comes a little late, and
// must not be taken for the answer to the next request.
func TestLateAnswerToABodyReachesNobody(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{0, 500 * time.Microsecond, 5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			wires(t, func(t *testing.T, start starter) {
				_, up := start(t, HTTP1Options{}, readsNoBodies(func(_ net.Conn, head string) {
					if strings.HasPrefix(head, "POST") {
						<-time.After(late)
					}
				}))
				restLonger(up)
				g := before(t, up, nil)
				for range 2 * provenAfter { // as an upstream that has long been there
					exchangeRaw(t, g, get)
				}
				for range 3 {
					exchangeRaw(t, g, fmt.Sprintf("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden))
					if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "for nobody") {
						t.Errorf("the next visitor got %q", got)
					}
				}
			})
		})
	}
}

// Bytes that nobody asked for, some time after an answer, are not the answer to
// the next request, and an upstream that ever sent any is asked over a new
// connection each time.
func TestLateBytesAreNoAnswer(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, late := range []time.Duration{0, 500 * time.Microsecond, 2 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			wires(t, func(t *testing.T, start starter) {
				u, up := start(t, HTTP1Options{}, func(c net.Conn, br *bufio.Reader, _ int) {
					for readHead(br) != "" {
						say(c, ok)
						<-time.After(late)
						say(c, evil)
					}
				})
				restLonger(up)
				g := before(t, up, nil)
				for range 5 {
					if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "ok") {
						t.Errorf("the visitor got %q", got)
					}
				}
				if n := u.conns.Load(); n != 5 {
					t.Errorf("%d connections, want 5", n)
				}
			})
		})
	}
}

// An answer that came before the body was sent may leave the rest of the body
// behind, as the next request.
func TestEarlyAnswerEndsTheConnection(t *testing.T) {
	const size = 100 << 10
	wires(t, func(t *testing.T, start starter) {
		u, up := start(t, HTTP1Options{}, func(c net.Conn, br *bufio.Reader, _ int) {
			for {
				head := readHead(br)
				if head == "" {
					return
				}
				say(c, ok)
				if strings.HasPrefix(head, "POST") {
					_, _ = io.CopyN(io.Discard, br, size)
				}
			}
		})
		g := before(t, up, nil)
		c, br := ask(t, g, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
		if h := readHead(br); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Fatalf("got %q", h)
		}
		_, _ = io.CopyN(c, zeros{}, size)
		if err := <-g.errs; err != nil {
			t.Error(err)
		}
		exchangeRaw(t, g, get)
		if n := u.conns.Load(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
	})
}

func TestNoReuse(t *testing.T) {
	wires(t, func(t *testing.T, start starter) {
		heads := make(chan string, 10)
		u, up := start(t, HTTP1Options{NoReuse: true}, func(c net.Conn, br *bufio.Reader, _ int) {
			for head := readHead(br); head != ""; head = readHead(br) {
				heads <- head
				say(c, ok)
			}
		})
		g := before(t, up, nil)
		for range 3 {
			exchangeRaw(t, g, get)
			if head := <-heads; !strings.Contains(head, "\r\nConnection: close\r\n") {
				t.Errorf("the upstream is not told: %q", head)
			}
		}
		if n := u.conns.Load(); n != 3 {
			t.Errorf("%d connections, want 3", n)
		}
	})
}
