package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"gatehouse/config"
)

// NewLog makes the process's log on w: text for people, JSON for machines;
// auto is text when w is a terminal. The level can be changed while it is in
// use.
func NewLog(c config.LogConfig, w io.Writer) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	if err := setLevel(level, c); err != nil {
		return nil, nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || c.Format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts)), level, nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), level, nil
}

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

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
