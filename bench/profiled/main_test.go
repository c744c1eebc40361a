package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRun serves, stops with its context, and leaves a profile (which is
// compressed with gzip).
func TestRun(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "profiled") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, out := filepath.Join(dir, "gatehouse.yaml"), filepath.Join(dir, "out")
	text := fmt.Sprintf("version: 1\nlisten: %s\ndata_dir: %s\nroutes:\n  - upstream: http://127.0.0.1:1\n", addr, filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, file, "../../login.html", out) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("ended at once: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if profile, err := os.ReadFile(out); err != nil || len(profile) < 2 || profile[0] != 0x1f || profile[1] != 0x8b { //nolint:gosec // in our own folder
		t.Errorf("%d bytes: %v", len(profile), err)
	}
}

func TestRunNamesWhatIsMissing(t *testing.T) {
	if err := run(t.Context(), filepath.Join(t.TempDir(), "none.yaml"), "login.html", "out"); err == nil {
		t.Error("no error")
	}
}
