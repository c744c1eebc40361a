// Package password hashes passwords, checks them against stored hashes of many
// kinds, and decides which passwords may be chosen. It knows nothing about
// accounts or requests.
package password

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
)

// A Hasher makes and checks password hashes. It computes as many at a time as
// there are cores and queues the rest, so that logins cannot use up the machine.
// The queue is fair to those who wait in it; see WithClaim. A process has one
// Hasher, which is kept when the configuration is reloaded. Safe for concurrent
// use.
//
// Every check costs the same: it does the work of every kind of hash that the
// accounts have, with the parameters of the most expensive one of each kind.
// So the time of an answer tells neither whether there is such an account, nor
// what kind of hash it has, nor whether it is disabled.
type Hasher struct {
	queue  *limit.Semaphore
	params Params
	all    workload
	worked func(cost float64)
}

const (
	queuePatience = 5 * time.Second // the longest wait in the queue
	queuePerCore  = 64              // queue length; more would not be served within queuePatience
)

// Options are the options of NewHasher. The zero value suits a server.
type Options struct {
	// Params are the parameters of new hashes. Default: m=19456 (19 MiB), t=2,
	// p=1, which OWASP recommends for argon2id.
	Params Params
	// Queue limits how many hashes are computed at a time. Default (nil): one for
	// each core, with a queue of 64 for each core and a wait of up to 5 seconds.
	Queue *limit.Semaphore
	// Worked, if not nil, is called with the cost of each hash that a check
	// computes, roughly in microseconds of one core. It may be called from
	// several goroutines at once.
	Worked func(cost float64)
}

// NewHasher returns a Hasher with the options, of which each zero value is
// replaced by its default. At first every check does the work of a new hash;
// see Expect for those of existing accounts.
func NewHasher(o Options) *Hasher {
	if o.Params == (Params{}) {
		o.Params = current
	}
	if o.Queue == nil {
		n := runtime.GOMAXPROCS(0)
		o.Queue = limit.NewSemaphore(n, n*queuePerCore, queuePatience)
	}
	if o.Worked == nil {
		o.Worked = func(float64) {}
	}
	h := &Hasher{queue: o.Queue, params: o.Params, worked: o.Worked}
	h.all.most = maxDearer * o.Params.cost()
	h.all.expect(argon{Params: o.Params, id: true, salt: make([]byte, saltLen), key: make([]byte, keyLen)})
	return h
}

// Hash returns a new argon2id hash of a password of 1 to MaxLength bytes, with a
// random salt. If the queue is full or the wait in it too long, the error is a
// *web.Error with status 429 and Retry-After; if ctx ends while waiting, one
// with status 503. It does not apply the policy; see Check.
func (h *Hasher) Hash(ctx context.Context, password string) (secret.Text, error) {
	if password == "" || len(password) > MaxLength {
		return secret.Text{}, errLength
	}
	if err := h.enter(ctx); err != nil {
		return secret.Text{}, err
	}
	defer h.queue.Release()
	return phc(newArgon(h.params, password)), nil
}

// errLength is returned by Hash for a password of a length that it never hashes.
var errLength = errors.New("password: a password has 1 to 1024 bytes")

// Check reports whether the hash is that of the password. An error means that
// the password could not be checked; like that of Hash, it is a *web.Error with
// status 429 and Retry-After if the queue is full, and 503 if ctx ends while
// waiting.
//
// An empty or malformed hash never matches and takes as long as a good one. A
// password of more than MaxLength bytes returns false without any work. An empty
// password is checked like any other, because there may be hashes of it: callers
// that sign people in must refuse it first.
func (h *Hasher) Check(ctx context.Context, hash secret.Text, password string) (ok bool, err error) {
	if len(password) > MaxLength {
		return false, nil
	}
	s, unreadable := parseHash(hash.Reveal())
	if unreadable != nil {
		s = nil
	} else {
		h.all.expect(s)
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.queue.Release()
	return h.all.check(s, password, h.worked), nil
}

// Expect makes the work of this hash part of every check, so that even the
// first login of its account takes as long as all others. It returns false if
// that would cost too much (see TooDear); the logins of that account can then be
// told apart by their time. It returns true for a malformed hash, whose check
// costs nothing beyond what every check does.
func (h *Hasher) Expect(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err != nil || h.all.expect(s)
}

// Outdated reports whether a hash should be replaced at the next login, when the
// password is known: it is malformed, of another kind than those that Hash makes,
// or has lower parameters.
func (h *Hasher) Outdated(hash secret.Text) bool { return weakerThan(hash.Reveal(), h.params) }

// WithClaim returns a context in which the work of Hash and Check is charged to
// c: the queue first serves those who have used it least lately. Work without a
// claim is charged to no one. See limit.Semaphore.
func WithClaim(ctx context.Context, c limit.Claim) context.Context {
	return context.WithValue(ctx, claimKey{}, c)
}

type claimKey struct{}

// enter waits for a turn in the queue. After nil, the caller must call
// h.queue.Release.
func (h *Hasher) enter(ctx context.Context) error {
	claim, _ := ctx.Value(claimKey{}).(limit.Claim)
	err := h.queue.Acquire(ctx, claim)
	if errors.Is(err, limit.ErrBusy) {
		return web.Later(http.StatusTooManyRequests, "Too many people are signing in right now. Please wait a little.", h.queue.MaxWait(),
			fmt.Errorf("check a password: %w", err))
	}
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("check a password: %w", err))
	}
	return nil
}
