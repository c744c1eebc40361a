//go:build e2e

package gate_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/e2e"
)

// TestStopUnderLoadLosesNothing: whoever has got a connection gets an answer,
// and whoever uses one again is told before that it is the last one.
func TestStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "app")))
	const wanted = 10_000 / 2 // before the signal; as many come until the end
	var answered, last atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		again := i%2 == 0
		all.Go(func() {
			for {
				conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", gate.Addr)
				if err != nil {
					return // refused, and so not lost
				}
				n, told, err := askOver(conn, again)
				_ = conn.Close()
				answered.Add(int64(n))
				if told {
					last.Add(1)
				}
				if err != nil {
					t.Errorf("a request was lost, the %dth of its connection: %v", n+1, err)
				}
			}
		})
	}
	e2e.Eventually(t, func() error {
		if n := answered.Load(); n < wanted/int64(e2e.Slower()) {
			return fmt.Errorf("%d requests are answered", n)
		}
		return nil
	})
	if code := gate.Stop(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	all.Wait()
	if last.Load() == 0 {
		t.Error("no answer on a connection that was used again said that it is the last one")
	}
}

// askOver sends requests over a connection, one or as many as there are answers,
// and says how many were answered and whether the last answer said so. A
// connection that was left alone for long may be closed by either side.
func askOver(conn net.Conn, again bool) (answered int, told bool, err error) {
	in := bufio.NewReader(conn)
	used := time.Now()
	for {
		_ = conn.SetDeadline(time.Now().Add(e2e.Patience))
		late := time.Since(used) > 250*time.Millisecond
		_, err := io.WriteString(conn, "GET /public/x HTTP/1.1\r\nHost: "+e2e.Host+"\r\n\r\n")
		var resp *http.Response
		if err == nil {
			resp, err = http.ReadResponse(in, nil)
		}
		if err != nil {
			if late && answered > 0 {
				err = nil
			}
			return answered, false, err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != "app" {
			return answered, false, fmt.Errorf("%s %q, %w", resp.Status, body, err)
		}
		answered++
		used = time.Now()
		if resp.Close || !again {
			return answered, again && resp.Close, nil
		}
	}
}

// TestStopIsToldAtOnce: whoever watches the gate hears that it stops while
// it still serves, and what is under way is finished.
func TestStopIsToldAtOnce(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	app := e2e.ServeFunc(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/public/slow" {
			close(reached)
			<-release
		}
		_, _ = io.WriteString(w, "app")
	})
	admin := e2e.FreeAddr(t)
	gate := e2e.Start(t, e2e.HTTP1, "admin: {listen: "+admin+"}\nstop: {delay: 3s}\n"+e2e.Standard(app))
	got := make(chan e2e.Answer, 1)
	slow := gate.Browser(t)
	go func() {
		a, _ := slow.Try(slow.Request("GET", "/public/slow", nil))
		got <- a
	}()
	await(t, reached, "the slow request")
	gate.Signal(t, syscall.SIGTERM)
	gate.AwaitLog(t, `"msg":"stopping"`)
	if status, header := head(t, "http://"+admin+"/readyz"); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("/readyz while it stops: %d, Retry-After %q; want 503 and a time", status, header.Get("Retry-After"))
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", gate.Addr)
	if err != nil {
		t.Fatalf("a new visitor during stop.delay: %v", err)
	}
	if n, told, err := askOver(conn, true); n != 1 || !told || err != nil {
		t.Errorf("a new visitor during stop.delay: %d answers, told %t, %v; want one, the last of its connection", n, told, err)
	}
	_ = conn.Close()
	if out, code := gate.Command(t, "", "health"); code != 1 || !strings.Contains(out, "stopping") {
		t.Errorf("gatehouse health while it stops: exit status %d\n%s", code, out)
	}
	close(release)
	if a := <-got; a.Body != "app" {
		t.Errorf("the request under way: %d %q", a.Status, a.Body)
	}
	if code := gate.Ended(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestStopCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	app := e2e.ServeFunc(t, func(_ http.ResponseWriter, r *http.Request) {
		close(reached)
		<-r.Context().Done()
	})
	gate := e2e.Start(t, e2e.HTTP1, "stop: {limit: 200ms}\n"+e2e.Standard(app))
	b := gate.Browser(t)
	go func() { _, _ = b.Try(b.Request("GET", "/public/forever", nil)) }()
	await(t, reached, "the request that never ends")
	begin := time.Now()
	gate.Stop(t)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s with a limit of 200ms", took)
	}
	gate.AwaitLog(t, "requests were cut off")
}

// TestNoDescriptorsAreTold: a gate that can take nobody says so to whoever
// asks, for which it has kept a descriptor, and in the log.
func TestNoDescriptorsAreTold(t *testing.T) {
	t.Parallel()
	admin := e2e.FreeAddr(t)
	gate := e2e.Start(t, e2e.HTTP1, "admin: {listen: "+admin+"}\nlog: {access: false}\n"+e2e.Standard(e2e.Serve(t, "app")))
	if status, _ := head(t, "http://"+admin+"/readyz"); status != http.StatusOK {
		t.Fatalf("/readyz at first: %d", status)
	}
	limitFiles(t, gate.PID(), 8)
	var visitors []net.Conn
	for range 30 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", gate.Addr)
		if err != nil {
			t.Fatal(err)
		}
		visitors = append(visitors, c)
	}
	gate.AwaitLog(t, "too many open files")
	// What was closed since is taken by the next visitor, within the second
	// after which net/http accepts again.
	e2e.Eventually(t, func() error {
		if status, _ := head(t, "http://"+admin+"/readyz"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz without descriptors: %d, want 503", status)
		}
		return nil
	})
	e2e.Eventually(t, func() error {
		if out, code := gate.Command(t, "", "health"); code != 1 || !strings.Contains(out, "descriptors") {
			return fmt.Errorf("gatehouse health without descriptors: exit status %d\n%s", code, out)
		}
		return nil
	})
	for _, c := range visitors {
		_ = c.Close()
	}
	e2e.Eventually(t, func() error {
		if status, _ := head(t, "http://"+admin+"/readyz"); status != http.StatusOK {
			return fmt.Errorf("/readyz once they have gone: %d", status)
		}
		return nil
	})
}

// limitFiles lets the process open so many more files than it has open.
func limitFiles(t *testing.T, pid, more int) {
	t.Helper()
	limit := 0 // a bound of the numbers of descriptors; the lowest free one is taken
	for ; more > 0; limit++ {
		if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, limit)); err != nil {
			more--
		}
	}
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
}

// head asks on a connection of its own.
func head(t *testing.T, url string) (int, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header
}

// TestWhatHasToBeMendedIsLogged: also where nobody wants a line for each
// request.
func TestWhatHasToBeMendedIsLogged(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, `log: {access: false}
routes:
  - host: `+e2e.Host+`
    upstream: http://`+e2e.FreeAddr(t)+`
    access: [{path: /static, public: true}, {path: /admin, groups: [admins]}, {}]
`)
	b := gate.Browser(t)
	for _, c := range []struct {
		target, host string
		status       int
		logged       []string
	}{
		{"/static/dead", e2e.Host, 502, []string{`"level":"WARN"`, "connection refused", `"path":"/static/dead"`}},
		{"/unknown-host", "other.example.test", 421, []string{`"level":"WARN"`, "no route has this host", `"path":"/unknown-host"`}},
		{"/static/..%2fadmin/refused", e2e.Host, 400, []string{`"level":"WARN"`, "readings of the path", `"path":"/static/..%2fadmin/refused"`}},
	} {
		if a := b.Send(b.Request("GET", c.target, nil, "Host: "+c.host)); a.Status != c.status {
			t.Errorf("%s: %d, want %d", c.target, a.Status, c.status)
		}
		e2e.Eventually(t, func() error {
			for line := range strings.Lines(gate.Log()) {
				if containsAll(line, c.logged) {
					return nil
				}
			}
			return fmt.Errorf("no line of the log holds %q:\n%s", c.logged, gate.Log())
		})
	}
	gate.AwaitLog(t, `"msg":"path.refused","log":"audit"`)
}

func containsAll(s string, all []string) bool {
	for _, part := range all {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
