//go:build e2e

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProcessAndItsChildren: what is started is found with its children, and
// stops with them.
func TestProcessAndItsChildren(t *testing.T) {
	p, err := start(t.Context(), "shell", filepath.Join(t.TempDir(), "log"), "sh", "-c", "sleep 100 & echo ready; wait")
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.wrote(), "ready") {
		if t.Context().Err() != nil {
			t.Fatal("the shell does not begin")
		}
	}
	members, err := membersOf(p.group())
	if err != nil || len(members) < 2 {
		t.Errorf("%d processes: %v", len(members), err)
	}
	if u, err := usageOf(p.group()); err != nil || u.resident <= 0 || u.peak < u.resident {
		t.Errorf("%+v, %v", u, err)
	}
	p.stop()
	for deadline := time.Now().Add(10 * time.Second); ; {
		left, err := membersOf(p.group())
		if err != nil || !slices.ContainsFunc(left, func(s stat) bool { return !s.ended }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %+v", left)
		}
	}
}

func TestAwaitTellsWhatAProcessWrote(t *testing.T) {
	p, err := start(t.Context(), "shell", filepath.Join(t.TempDir(), "log"), "sh", "-c", "echo the reason; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.await(t.Context(), "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("%v", err)
	}
}
