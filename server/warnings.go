package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A warnings limits the warnings that visitors can cause, so that they cannot
// fill the log: of each kind warningsAtOnce, and then warningsASecond. The zero
// value is ready for use. It is safe for concurrent use.
type warnings struct {
	mu    sync.Mutex
	kinds map[string]*warningsOfKind // kinds come from the configuration and the code, so there are few
}

// A warningsOfKind is the token bucket of one kind.
type warningsOfKind struct {
	left     float64 // warnings that may be written now
	at       time.Time
	withheld int // number withheld since the last one that was written
}

// Warnings of one kind that may be written at once, and those that may be added
// each second.
const (
	warningsAtOnce  = 100
	warningsASecond = 5 // added each second, up to warningsAtOnce
)

// allow reports whether one more warning of the kind may be written. withheld is
// how many were withheld since the last one that was written; the caller includes
// it in the warning.
func (w *warnings) allow(kind string) (ok bool, withheld int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	k := w.kinds[kind]
	if k == nil {
		k = &warningsOfKind{left: warningsAtOnce, at: now}
		if w.kinds == nil {
			w.kinds = map[string]*warningsOfKind{}
		}
		w.kinds[kind] = k
	}
	k.left = min(warningsAtOnce, k.left+warningsASecond*now.Sub(k.at).Seconds())
	k.at = now
	if k.left < 1 {
		k.withheld++
		return false, 0
	}
	k.left--
	withheld, k.withheld = k.withheld, 0
	return true, withheld
}

// notAccepted logs why a connection could not be accepted, such as too few file
// descriptors.
func (s *Server) notAccepted(err error) {
	if ok, withheld := s.shared.warnings.allow("accept"); ok {
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "a connection could not be accepted",
			slog.String("error", err.Error()), slog.Int("withheld", withheld))
	}
}
