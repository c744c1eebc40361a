//go:build e2e

package gate_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// runLoggingTo starts a gate whose log goes into a pipe, and returns the end
// that is read from.
func runLoggingTo(t *testing.T, config string) (*e2e.Gate, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	gate := e2e.New(t, e2e.HTTP1, config)
	gate.Stderr = w
	gate.Run(t)
	t.Cleanup(func() {
		select {
		case <-gate.Done():
		default:
			gate.Kill(t)
		}
	})
	_ = w.Close() // the gate alone holds it now
	return gate, r
}

// fillLog makes more lines than a pipe and the queue before it hold.
func fillLog(t *testing.T, gate *e2e.Gate) {
	t.Helper()
	nobody := gate.Browser(t)
	path := "/private/" + strings.Repeat("a", 1000)
	for i := range 2500 {
		if a := nobody.Fetch(path); a.Status != http.StatusUnauthorized {
			t.Fatalf("request %d while nobody reads the log: %d", i, a.Status)
		}
	}
}

func TestTheReaderOfTheLogEnds(t *testing.T) {
	t.Parallel()
	gate, r := runLoggingTo(t, e2e.Standard(e2e.Serve(t, "app")))
	_ = r.Close()
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	for range 10 {
		if a := alice.Fetch("/private"); a.Status != http.StatusOK {
			t.Errorf("without a reader of the log: %d", a.Status)
		}
	}
	if code := gate.Stop(t); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
}

// A reader that stalls costs access lines; the audit events of that time are
// there when it goes on, and how many lines are not.
func TestTheReaderOfTheLogStallsAndGoesOn(t *testing.T) {
	t.Parallel()
	admin := e2e.FreeAddr(t)
	gate, r := runLoggingTo(t, "admin: {listen: "+admin+"}\n"+e2e.Standard(e2e.Serve(t, "app")))
	fillLog(t, gate)
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	if metrics := get(t, "http://"+admin+"/metrics"); strings.Contains(metrics, "gatehouse_log_dropped_total 0\n") ||
		!strings.Contains(metrics, "gatehouse_log_dropped_total ") {
		t.Error("dropped lines are not counted")
	}
	log := make(chan string)
	go func() {
		all, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		log <- string(all)
	}()
	e2e.Eventually(t, func() error { // once there is room, lines arrive again
		if a := alice.Fetch("/private/after"); a.Status != http.StatusOK {
			return fmt.Errorf("status %d", a.Status)
		}
		return nil
	})
	if code := gate.Stop(t); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	got := <-log
	for _, want := range []string{`"msg":"login.success"`, `"msg":"lines of the log were dropped`, `"msg":"stopped"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in the log", want)
		}
	}
	for line := range bytes.Lines([]byte(got)) {
		if line[0] != '{' || !bytes.HasSuffix(line, []byte("}\n")) {
			t.Fatalf("a line is broken: %.200q", line)
		}
	}
}

func TestAStalledLogDoesNotDelayTheStop(t *testing.T) {
	t.Parallel()
	gate, _ := runLoggingTo(t, e2e.Standard(e2e.Serve(t, "app")))
	fillLog(t, gate)
	begin := time.Now()
	gate.Signal(t, syscall.SIGTERM)
	if code := gate.Ended(t); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

// get fetches a page that must be there.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}
