package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/sessions"
)

// health is the handler of admin.listen: alive, ready, and the counters. It
// holds nothing secret, but it is not for visitors.
func (s *Server) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if st := s.status(r.Context()); !st.Ready {
			writeHealth(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		writeHealth(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", s.parts.metrics.Handler())
	return mux
}

func writeHealth(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

// status asks the store something that it must be able to answer, and whether
// it can be written to.
func (s *Server) status(ctx context.Context) status {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st := status{Ready: true, Version: s.options.Version}
	nobody := strings.Repeat("0", 64)
	if _, err := s.parts.state.store.Load(ctx, nobody); err != nil && !errors.Is(err, sessions.ErrNotFound) {
		st.Ready, st.Why = false, "the store of sessions does not answer: "+err.Error()
	} else if err := s.parts.state.store.Probe(ctx); err != nil {
		st.Ready, st.Why = false, "the store of sessions takes nothing: "+err.Error()
	}
	return st
}
