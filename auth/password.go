package auth

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

// A Hasher makes and checks password hashes: as many at a time as there are
// cores, with a queue before it, so that logins cannot eat the machine. The
// queue is fair to visitors; see limit.Semaphore and visitor.claim. There is one in
// a process. Safe for concurrent use.
//
// Whatever is checked costs the same: each check does the work of every kind of
// hash that there is among the accounts, of the dearest of its kind; see
// workload. So the time of an answer does not tell whether there is such an
// account, what kind of hash it has, or whether it is disabled.
type Hasher struct {
	queue  *limit.Semaphore
	params params
	all    workload
	worked func(cost float64) // told of each piece of work; nil but in tests
}

const (
	hashPatience = 5 * time.Second // in the queue
	queuePerCore = 64              // more would not get a place in time
)

// NewHasher makes a Hasher for n hashes at a time; 0: one for each core.
func NewHasher(n int) *Hasher { return newHasher(n, current) }

func newHasher(n int, p params) *Hasher {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	h := &Hasher{queue: limit.NewSemaphore(n, n*queuePerCore, hashPatience), params: p}
	h.all.most = maxDearer * p.cost()
	h.all.expect(argon{params: p, id: true, salt: make([]byte, saltLen), key: make([]byte, keyLen)})
	return h
}

// Hash makes a new hash (argon2id, OWASP's parameters) of a password of 1 to
// 1024 bytes. *web.Error 429 with Retry-After when the queue is full.
func (h *Hasher) Hash(ctx context.Context, password string) (secret.Text, error) {
	return h.hash(ctx, limit.Claim{}, password)
}

// hash is Hash for a visitor.
func (h *Hasher) hash(ctx context.Context, c limit.Claim, password string) (secret.Text, error) {
	if password == "" || len(password) > maxPassword {
		return secret.Text{}, errPasswordLength
	}
	if err := h.enter(ctx, c); err != nil {
		return secret.Text{}, err
	}
	defer h.queue.Release()
	return phc(newArgon(h.params, password)), nil
}

// Check says whether the password is hash's. An error means that it could
// not tell: *web.Error 429 with Retry-After when the queue is full, 503 when
// ctx ended in it. An empty or unreadable hash never matches, and costs what
// a good one costs. A password of more than 1024 bytes is refused before
// any work; that an empty one is refused is the login page's business, since
// some stores hold hashes of it.
func (h *Hasher) Check(ctx context.Context, hash secret.Text, password string) (ok bool, err error) {
	return h.check(ctx, limit.Claim{}, hash, password)
}

// check is Check for a visitor.
func (h *Hasher) check(ctx context.Context, c limit.Claim, hash secret.Text, password string) (ok bool, err error) {
	if len(password) > maxPassword {
		return false, nil
	}
	s, unreadable := parseHash(hash.Reveal())
	if unreadable != nil {
		s = nil
	} else {
		h.all.expect(s)
	}
	if err := h.enter(ctx, c); err != nil {
		return false, err
	}
	defer h.queue.Release()
	return h.all.check(s, password, h.work), nil
}

func (h *Hasher) work(cost float64) {
	if h.worked != nil {
		h.worked(cost)
	}
}

func (h *Hasher) enter(ctx context.Context, c limit.Claim) error {
	err := h.queue.Acquire(ctx, c)
	if errors.Is(err, limit.ErrBusy) {
		return web.Later(http.StatusTooManyRequests, "Too many people are signing in right now. Please wait a little.", h.queue.MaxWait(),
			fmt.Errorf("check a password: %w", err))
	}
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("check a password: %w", err))
	}
	return nil
}
