// Package password holds all that is known of passwords: how they are hashed,
// which stored hashes can be checked, and which passwords may be chosen. It
// knows nothing of accounts or requests.
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

// A Hasher makes and checks password hashes. It works on as many at a time as
// there are cores, with a queue in front, so that logins cannot use up the
// machine. The queue is fair to those who wait in it; see WithClaim. A process
// has one Hasher, which outlives a configuration. Safe for concurrent use.
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
	queuePatience = 5 * time.Second // how long a check waits in the queue
	queuePerCore  = 64              // those further back would not be served in time
)

// Options are what a Hasher is made of. The zero value is that of a server.
type Options struct {
	// Params are those of new hashes; the zero value: OWASP's for argon2id.
	Params Params
	// Queue bounds how many hashes are computed at a time; nil: one for each
	// core, and 64 times as many wait for up to 5 seconds.
	Queue *limit.Semaphore
	// Worked is told the cost of each piece of work, in the unit of cost; nil:
	// nobody is told.
	Worked func(cost float64)
}

// NewHasher returns a Hasher.
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

// Hash returns a new hash (argon2id) of a password of 1 to MaxLength bytes. The
// error is a *web.Error: 429 with Retry-After when the queue is full, 503 when
// ctx ended in it.
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

// errLength is returned for a password that must not be hashed.
var errLength = errors.New("password: a password has 1 to 1024 bytes")

// Check reports whether the hash is that of the password. An error means that
// it could not tell, and is a *web.Error: 429 with Retry-After when the queue
// is full, 503 when ctx ended in it.
//
// An empty or unreadable hash never matches, and costs what a good one costs.
// A password of more than MaxLength bytes is refused before any work. An empty
// password is checked like any other, because some hashes are of it: whoever
// lets people in has to refuse it first.
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

// Expect makes the work of this hash a part of every check, so that the first
// login of its account takes as long as all others. It returns false if that
// would cost too much: then the logins of that account can be told apart by
// their time. A hash that cannot be read is checked as nobody's, and fits.
func (h *Hasher) Expect(hash secret.Text) bool {
	s, err := parseHash(hash.Reveal())
	return err != nil || h.all.expect(s)
}

// Outdated reports whether a hash should be made anew at the next login: it is
// of another kind than those that Hash makes, or has lower parameters.
func (h *Hasher) Outdated(hash secret.Text) bool { return weakerThan(hash.Reveal(), h.params) }

// WithClaim returns a context whose hashes are paid for by c: the queue serves
// first those who have lately used it least. Without a claim they are
// nobody's. See limit.Semaphore.
func WithClaim(ctx context.Context, c limit.Claim) context.Context {
	return context.WithValue(ctx, claimKey{}, c)
}

type claimKey struct{}

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
