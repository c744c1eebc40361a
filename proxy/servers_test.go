//go:build e2e

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/urlpath"
)

// start runs the server until the end of the test, and returns the address of
// each of its modes.
func (s realServer) start(t *testing.T) (addrs []string) {
	t.Helper()
	dir := t.TempDir()
	var ports []string
	for range s.modes {
		addr := e2e.FreeAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		addrs, ports = append(addrs, addr), append(ports, port)
	}
	programs, err := filepath.Abs(sources)
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$ADDR", addrs[0], "$PORTS", strings.Join(ports, " "), "$PORT", ports[0], "$PWD", dir, "$SOURCES", programs)
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fill.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), "bash", "-c", fill.Replace(s.command)) //nolint:gosec // G204: a command from above
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, &out, &out, 10*time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { <-ended })
	for _, addr := range addrs {
		e2e.Eventually(t, func() error {
			select {
			case <-ended:
				t.Fatalf("%s has ended at once (make setup installs what is missing): %s", s.command, out.String())
			default:
			}
			conn, err := net.Dial("tcp", addr) //nolint:noctx // a test's own server
			if err != nil {
				return fmt.Errorf("%s does not listen: %w", s.command, err)
			}
			return conn.Close()
		})
	}
	return addrs
}

// answerOf sends a request, which has to ask for the end of the connection, and
// returns the answer. Its status is 0 when there is none: some servers only close
// the connection.
func answerOf(t *testing.T, addr, request string) e2e.Answer {
	t.Helper()
	conn, err := net.Dial("tcp", addr) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(e2e.Patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return e2e.Answer{}
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return e2e.Answer{Status: res.StatusCode, Header: res.Header, Body: string(body), Err: err}
}

// placesAt asks a server what it takes a path for, and returns nothing when the
// server refuses the request.
func placesAt(t *testing.T, addr, p string) []string {
	t.Helper()
	a := answerOf(t, addr, "GET "+p+" HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n")
	if a.Status == 0 || a.Err != nil {
		return nil
	}
	list := append(a.Header["X-Place"], a.Header["Location"]...)
	switch {
	case a.Status >= http.StatusBadRequest: // refused
		return nil
	case a.Status == http.StatusOK:
		list = append(list, strings.Split(a.Body, "\n")...)
	}
	var places []string
	for _, place := range list {
		if place = strings.Trim(place, `"`); strings.HasPrefix(place, "/") {
			places = append(places, place)
		}
	}
	return places
}

// What passes is no ruled place to the servers that people run.
func TestNoRealServerReadsARuledPlace(t *testing.T) {
	paths := []string{
		"/static/x", "/static/x%2fy/%2e%2e/%2e%2e/admin/", "/x%2fy/%2e%2e/admin/", "/x%2Fy/%2e./admin/", "/x%3by%2fz/%2e%2e/admin/", "/x%2fy/%2e%2e;/admin/", "///x/admin/",
		"//x/admin/", "/..//x/admin", "/static/x%5cy/%2e%2e/%2e%2e/admin/", "/static/%2e%2e/closed", "/deep/x%2fy/%2e%2e/er/", "/index.php/admin", "/x%2fy/%2e%2e/other/", "/x/a%2Fb",
		"/static/x%2fy/%2e%2e/%2e%2e/private", "/%2e%2e/admin", "/static/.%2e/admin", "/x/..%2fadmin", "/x/..%5cadmin", "/x%00/admin", "/%61dmin", "/x/%252e%252e/admin",
	}
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // G404: the same paths at each run
	choices := make([]byte, 12)
	for range 250 {
		for i := range choices {
			choices[i] = byte(r.IntN(256)) //nolint:gosec // G115: a byte
		}
		paths = append(paths, madeOf(choices[:2+r.IntN(10)]))
	}
	hr := ruled(t)
	for _, server := range realServers {
		t.Run(server.modes[0], func(t *testing.T) {
			t.Parallel()
			for i, addr := range server.start(t) {
				compare(t, hr, server.modes[i], addr, paths)
			}
		})
	}
}

// compare asks a server about paths, and its model.
func compare(t *testing.T, hr *hostRoutes, mode, addr string, paths []string) {
	t.Helper()
	read := 0
	for _, p := range paths {
		list := placesAt(t, addr, p)
		if read += len(list); len(list) == 0 {
			continue
		}
		if bad := tooFar(hr, p, map[string][]string{mode: list}); bad != "" {
			t.Error(bad)
		}
		if model := models[mode]; model != nil {
			known := append(model(p), p)
			for _, place := range list {
				if !slices.ContainsFunc(known, func(k string) bool { return canonical(k) == canonical(place) }) {
					t.Errorf("%q is %q to %s, which its model does not know: %q", p, place, mode, known)
				}
			}
		}
	}
	if places := placesAt(t, addr, "/static/x"); mode != asFormat && (read < 30 || len(places) == 0 || places[len(places)-1] != "/static/x") {
		t.Errorf("%s: %d places were read, /static/x as %q: that shows nothing", mode, read, places)
	}
}

// canonical spells a place so that what is the same to a rule is equal: what
// cannot stand in a path is escaped, in capitals, bytes that are no character
// are U+FFFD, and a slash at the end is not there.
func canonical(place string) string {
	place = string([]rune(place))
	var b strings.Builder
	for i := 0; i < len(place); i++ {
		switch c := place[i]; {
		case c == '%' && i+2 < len(place) && urlpath.Unhex(place[i+1]) >= 0 && urlpath.Unhex(place[i+2]) >= 0:
			b.WriteString(strings.ToUpper(place[i : i+3]))
			i += 2
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>^`{|}", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return strings.TrimRight(b.String(), "/")
}
