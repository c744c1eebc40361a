package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Member is one of the upstreams that a Balanced chooses from.
type Member struct {
	ID       string // unique; what Request.Member and Request.Chosen are about
	Address  string // what the log calls it
	Host     string // the Host header of health checks
	Upstream Upstream
}

// BalancedOptions are what a Balanced is made of.
type BalancedOptions struct {
	Members []Member     // at least one
	Health  HealthCheck  // without Path: none
	Log     *slog.Logger // told when a member goes out or comes back; nil: nobody is
}

// Balanced is an Upstream that sends each request to one of several: to the
// one that Request.Member names, if it is well, else to the one that has the
// fewest requests under way, in turns where there are several of those.
//
// A member goes out when it cannot be connected, when several requests in a
// row failed for another reason, or when a health check fails. After a pause,
// which grows with each disappointment, one request tries whether it is back.
// When all are out, the one that failed longest ago is asked nevertheless.
//
// A request that could not be connected goes to another member at once, to
// each at most once. Any other failure is final: the member may have begun to
// act.
type Balanced struct {
	health  HealthCheck
	log     *slog.Logger
	members []*backend

	stop     context.CancelFunc // ends the health checks
	watchers sync.WaitGroup

	mu   sync.Mutex // guards what follows, and the state of all members
	next int        // where to begin to look
}

// NewBalanced makes an upstream of others, which belong to it from now on, and
// starts their health checks. It must be closed.
func NewBalanced(o BalancedOptions) *Balanced {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Balanced{health: o.Health, log: o.Log}
	for _, m := range o.Members {
		b.members = append(b.members, &backend{Member: m})
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	if b.health.Path != "" {
		for _, m := range b.members {
			b.watchers.Go(func() { b.watch(ctx, m) })
		}
	}
	return b
}

// Close ends the health checks, and closes the members. Requests under way
// end by themselves.
func (b *Balanced) Close() {
	b.stop()
	b.watchers.Wait()
	for _, m := range b.members {
		m.Upstream.Close()
	}
}

// Forward implements Upstream.
func (b *Balanced) Forward(w http.ResponseWriter, r *Request) error {
	var t turn
	answer := r.Answer
	r.Answer = func(status int, h http.Header) error {
		if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
			b.answered(t.member)
		}
		if answer == nil {
			return nil
		}
		return answer(status, h)
	}
	tried := make([]*backend, 0, 8)
	for {
		t = b.begin(r.Member, tried)
		tried = append(tried, t.member)
		r.again = len(tried) < len(b.members)
		err := b.attempt(w, r, t)
		if !r.again || kindOf(err) != Connect || r.In.Context().Err() != nil || r.Breaker.Broken() {
			return err
		}
	}
}

// attempt asks one member.
func (b *Balanced) attempt(w http.ResponseWriter, r *Request, t turn) (err error) {
	ended := false
	defer func() {
		if !ended { // a panic: half an answer, and nobody knows whose fault it is
			b.end(t, nil)
		}
	}()
	if r.Chosen != nil {
		r.Chosen(t.member.ID)
	}
	err = t.member.Upstream.Forward(w, r)
	ended = true
	b.end(t, err)
	return err
}

// A turn is a request at a member.
type turn struct {
	member *backend
	trial  bool // it tries whether the member is back
}

// begin chooses a member that has not been tried.
func (b *Balanced) begin(wanted string, tried []*backend) turn {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	best := b.choose(wanted, tried, now)
	t := turn{member: b.members[best]}
	t.trial = t.member.isDue(now)
	t.member.trying = t.member.trying || t.trial
	t.member.active++
	b.next = best + 1
	return t
}

func (b *Balanced) choose(wanted string, tried []*backend, now time.Time) int {
	best, lastResort := -1, -1
	for i := range b.members {
		i = (b.next + i) % len(b.members)
		m := b.members[i]
		switch {
		case slices.Contains(tried, m):
		case !m.isReady(now):
			if lastResort < 0 || m.failed.Before(b.members[lastResort].failed) {
				lastResort = i
			}
		case m.ID == wanted:
			return i
		case best < 0 || m.active < b.members[best].active:
			best = i
		}
	}
	if best < 0 {
		return lastResort
	}
	return best
}

// answered notes that a member is there: it sent the head of an answer.
func (b *Balanced) answered(m *backend) {
	b.mu.Lock()
	wasOut := m.isOut()
	m.recover()
	isOut := m.isOut()
	b.mu.Unlock()
	b.tell(m, wasOut, isOut, nil)
}

// end notes what came of a request. What is not the member's fault says
// nothing of it.
func (b *Balanced) end(t turn, err error) {
	m := t.member
	b.mu.Lock()
	wasOut := m.isOut()
	m.active--
	if t.trial {
		m.trying = false
	}
	switch kindOf(err) {
	case Connect:
		m.fail(time.Now(), t.trial, true)
	case Timeout, Protocol, Aborted:
		m.fail(time.Now(), t.trial, false)
	}
	isOut := m.isOut()
	b.mu.Unlock()
	b.tell(m, wasOut, isOut, err)
}

// tell logs a change.
func (b *Balanced) tell(m *backend, wasOut, isOut bool, why error) {
	switch {
	case !wasOut && isOut:
		b.log.Warn("upstream is out", "upstream", m.Address, "error", why)
	case wasOut && !isOut:
		b.log.Info("upstream is back", "upstream", m.Address)
	}
}

// kindOf is the kind of an Error; "": it is none.
func kindOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}
