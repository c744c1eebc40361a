package engine

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "16") // on any machine: the parallel tests wait for deadlines
	goleak.VerifyTestMain(m)
}

// A rawUpstream is a TCP server that does with each connection what it is
// told to, however wrong.
type rawUpstream struct {
	addr  string
	conns atomic.Int32 // accepted so far
}

// upstream starts one. serve gets each connection, which is closed when it
// returns, and the connection's number, from 1.
func upstream(tb testing.TB, serve func(c *net.TCPConn, br *bufio.Reader, n int)) *rawUpstream {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	u := &rawUpstream{addr: l.Addr().String()}
	var open atomic.Int32
	open.Add(1)
	go func() {
		defer open.Add(-1)
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			n := int(u.conns.Add(1))
			open.Add(1)
			go func() {
				defer open.Add(-1)
				defer shut(c)
				serve(c, bufio.NewReader(c), n)
			}()
		}
	}()
	tb.Cleanup(func() {
		shut(l)
		within(tb, "the upstream's goroutines to end", func() bool { return open.Load() == 0 })
	})
	return u
}

// says is an upstream that reads requests without a body and answers each
// with the same bytes.
func says(t *testing.T, answer string) *rawUpstream {
	t.Helper()
	return upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		for readHead(br) != "" {
			say(c, answer)
		}
	})
}

// readHead reads a request's head; "" at the end of the connection.
func readHead(br *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
		if line == "\r\n" {
			return b.String()
		}
	}
}

// A gate is a server that forwards everything to an upstream and remembers
// what came of it.
type gate struct {
	*httptest.Server
	up     *HTTP1
	errs   chan error // one for each request; nil when it went well
	aborts atomic.Int32
}

var short = Timeouts{Connect: 2 * time.Second, Response: 5 * time.Second, Stall: 5 * time.Second}

// front starts one; change may alter each request before it is forwarded.
func front(tb testing.TB, o HTTP1Options, change func(*Request)) *gate {
	tb.Helper()
	g := unstarted(tb, o, change)
	g.Start()
	return g
}

func unstarted(tb testing.TB, o HTTP1Options, change func(*Request)) *gate {
	tb.Helper()
	if o.Timeouts == (Timeouts{}) {
		o.Timeouts = short
	}
	g := &gate{up: NewHTTP1(o), errs: make(chan error, 1000)}
	g.up.pool.fresh = time.Hour // or on a busy machine a POST gets a new connection at times
	h := http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		r := request(in)
		if change != nil {
			change(r)
		}
		defer func() {
			if v := recover(); v != nil {
				g.aborts.Add(1)
				g.note(errors.New("aborted"))
				panic(v)
			}
		}()
		err := g.up.Forward(w, r)
		if err != nil {
			w.Header().Set("X-Kind", kind(err))
			w.WriteHeader(http.StatusBadGateway)
		}
		g.note(err)
	})
	g.Server = httptest.NewUnstartedServer(web.Chain(h, web.RecordAnswer()))
	g.Config.ErrorLog = nil
	knowsVisitors(g.Config)
	tb.Cleanup(func() {
		g.Close()
		g.up.Close()
	})
	return g
}

// knowsVisitors makes a server tell its visitors' connections apart.
func knowsVisitors(hs *http.Server) {
	var conns sync.Map
	hs.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		ctx, v := WithVisitor(ctx)
		conns.Store(c, v)
		return ctx
	}
	hs.ConnState = func(c net.Conn, state http.ConnState) {
		if state != http.StateClosed && state != http.StateHijacked {
			return
		}
		if v, ok := conns.LoadAndDelete(c); ok {
			v.(*VisitorConn).Close() //nolint:forcetypeassert // nothing else is stored
		}
	}
}

// wait waits for the end of a request, however it went.
func (g *gate) wait(t *testing.T) {
	t.Helper()
	t.Logf("outcome: %v", <-g.errs)
}

// note remembers the outcome of a request, as long as there is room.
func (g *gate) note(err error) {
	select {
	case g.errs <- err:
	default:
	}
}

// request makes of the visitor's request what a caller would.
func request(in *http.Request) *Request {
	r := &Request{In: in, Method: in.Method, Target: in.RequestURI, Host: in.Host, Header: HeaderOf(in.Header)}
	if httpfield.HasToken(in.Header["Connection"], "upgrade") {
		r.Upgrade = in.Header.Get("Upgrade")
	}
	r.Header = slices.DeleteFunc(r.Header, func(f Field) bool { return hopByHop(f.Name) })
	return r
}

func kind(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// outcome is the kind of an error, or "aborted" after a panic.
func outcome(err error) string {
	if err != nil && kind(err) == "" {
		return err.Error()
	}
	return kind(err)
}

// within polls for a condition.
func within(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

// idle returns the idle connections, oldest first.
func (g *gate) idle() []*conn {
	g.up.pool.mu.Lock()
	defer g.up.pool.mu.Unlock()
	return slices.Concat(g.up.pool.idle, g.up.pool.resting)
}

// ask sends raw bytes to the gate and returns the connection to read from.
func ask(t *testing.T, g *gate, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(c) })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// fetch asks with Go's own client, and returns what is left to be read.
func fetch(t *testing.T, url string) io.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(res.Body) })
	return res.Body
}

// listen opens a socket that is closed at the end of the test.
func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(l) })
	return l
}

// exchangeRaw asks and reads all up to the end of the connection.
func exchangeRaw(t *testing.T, g *gate, request string) string {
	t.Helper()
	_, br := ask(t, g, request)
	b, _ := io.ReadAll(br)
	return string(b)
}

const get = "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"

// say writes to whoever may have left already.
func say(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

func shut(c io.Closer) { _ = c.Close() }
