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

// A Member is one of the upstreams of a Balanced.
type Member struct {
	ID       string // unique; used in Request.Member and Request.Chosen
	Address  string // for the log
	Host     string // the Host header of health checks
	Upstream Upstream
}

// BalancedOptions configure a Balanced. Members is required.
type BalancedOptions struct {
	Members []Member     // at least one
	Health  HealthCheck  // without Path: none
	Log     *slog.Logger // logs when members go out or come back; nil: nothing is logged
}

// Balanced is an Upstream that sends each request to one of its members: to the one that
// Request.Member names, unless it is out; otherwise to the one with the fewest requests
// under way, and in turns among equals. It is safe for concurrent use.
//
// A member is out after a connection to it has failed, after failuresInRow requests in a
// row have failed for another reason, and while its health check fails. After a pause of
// 1 to 30 s, which doubles with each failure, one request tries whether it is back. If
// all members are out, the one whose last failure is the longest ago is tried.
//
// If a connection fails, the request goes to another member at once, to each member at
// most once. Any other failure is final, because the member may have acted on the request.
type Balanced struct {
	health  HealthCheck
	log     *slog.Logger
	members []*backend

	stop     context.CancelFunc // ends the health checks
	watchers sync.WaitGroup

	mu   sync.Mutex // guards what follows, and the state of all members
	next int        // where to begin to look
}

// NewBalanced returns an upstream of o.Members and starts their health checks. The caller
// must call Close, which closes the members too.
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

// Close ends the health checks and closes the members. Requests under way are completed.
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

// attempt sends the request to one member and records the result. A panic means that the
// answer broke off after its head, and counts neither for nor against the member.
func (b *Balanced) attempt(w http.ResponseWriter, r *Request, t turn) (err error) {
	ended := false
	defer func() {
		if !ended { // a panic: half an answer, which says nothing about the member
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

// A turn is one request at one member.
type turn struct {
	member *backend
	trial  bool // the member was out, and this request tries whether it is back
}

// begin chooses a member that is not in tried, of which there must be one, and counts the
// request as under way there, until end.
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

// choose returns the index of the member to use; see Balanced. The caller holds b.mu.
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

// answered records that a member has sent the head of a final answer: it is back, and its
// failures in a row are forgotten.
func (b *Balanced) answered(m *backend) {
	b.mu.Lock()
	wasOut := m.isOut()
	m.recover()
	isOut := m.isOut()
	b.mu.Unlock()
	b.logChange(m, wasOut, isOut, nil)
}

// end records the result of a request. Only errors that are the member's fault count, by
// their kind.
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
	b.logChange(m, wasOut, isOut, err)
}

// logChange logs that a member went out or came back.
func (b *Balanced) logChange(m *backend, wasOut, isOut bool, why error) {
	switch {
	case !wasOut && isOut:
		b.log.Warn("upstream is out", "upstream", m.Address, "error", why)
	case wasOut && !isOut:
		b.log.Info("upstream is back", "upstream", m.Address)
	}
}

// kindOf returns the kind of err if it is or wraps an Error, and "" otherwise.
func kindOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}
