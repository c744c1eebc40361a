package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"gatehouse/config"
	"gatehouse/internal/logqueue"
)

// flushLimit is how long Close waits for whatever reads the log.
const flushLimit = 2 * time.Second

// A Log is the log of a process. Writing to it never waits for its reader: if
// that stalls or ends, lines are dropped, ordinary ones first and audit events
// last. It is safe for concurrent use.
type Log struct {
	*slog.Logger
	level *slog.LevelVar
	queue *logqueue.Queue
}

// NewLog returns a log that writes to w. c.Format is text for people, json for
// programs, and auto (or empty) for text if w is a terminal and JSON otherwise.
// c.Level is the lowest level that is written; empty means info. The error is
// about the level. Close the log at the end.
func NewLog(c config.LogConfig, w io.Writer) (*Log, error) {
	l := &Log{level: new(slog.LevelVar)}
	if err := setLevel(l.level, c); err != nil {
		return nil, err
	}
	// The queue may report lost lines before l.Logger is set; they wait for it.
	ready := make(chan struct{})
	l.queue = logqueue.New(w, logqueue.DefaultLimits, func(n uint64) {
		<-ready
		l.Warn("lines of the log were dropped, because nobody took them", "count", n)
	})
	opts := &slog.HandlerOptions{Level: l.level}
	handler := func(class logqueue.Class) slog.Handler {
		return slog.NewJSONHandler(logqueue.EscapeJSON(l.queue.Writer(class)), opts)
	}
	if c.Format == "text" || c.Format != "json" && isTerminal(w) {
		handler = func(class logqueue.Class) slog.Handler { return slog.NewTextHandler(l.queue.Writer(class), opts) }
	}
	l.Logger = slog.New(classHandler{ordinary: handler(logqueue.Ordinary), warning: handler(logqueue.Warning), audit: handler(logqueue.Audit)})
	close(ready)
	return l, nil
}

// Level returns the variable that holds the level. Setting it changes the level
// at once.
func (l *Log) Level() *slog.LevelVar { return l.level }

// Dropped returns how many lines were lost since the start.
func (l *Log) Dropped() uint64 { return l.queue.Dropped() }

// Close writes what is left. It waits at most flushLimit for the reader.
func (l *Log) Close() { l.queue.Close(flushLimit) }

// A classHandler passes each line to the handler of its class, by which the queue
// decides what to drop first. Audit events are the lines of a logger with the
// attribute log=audit (package audit).
type classHandler struct {
	ordinary, warning, audit slog.Handler
	audits                   bool
}

// Enabled implements slog.Handler.
func (h classHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.ordinary.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h classHandler) Handle(ctx context.Context, r slog.Record) error {
	to := h.ordinary
	switch {
	case h.audits:
		to = h.audit
	case r.Level >= slog.LevelWarn:
		to = h.warning
	}
	return to.Handle(ctx, r) //nolint:wrapcheck // a handler between two others
}

// WithAttrs implements slog.Handler.
func (h classHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.audits = h.audits || slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Equal(slog.String("log", "audit")) })
	h.ordinary, h.warning, h.audit = h.ordinary.WithAttrs(attrs), h.warning.WithAttrs(attrs), h.audit.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h classHandler) WithGroup(name string) slog.Handler {
	h.ordinary, h.warning, h.audit = h.ordinary.WithGroup(name), h.warning.WithGroup(name), h.audit.WithGroup(name)
	return h
}

// setLevel sets level to that of the configuration; an empty one is info.
func setLevel(level *slog.LevelVar, c config.LogConfig) error {
	if c.Level == "" {
		level.Set(slog.LevelInfo)
		return nil
	}
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return fmt.Errorf("log level %q: %w", c.Level, err)
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
