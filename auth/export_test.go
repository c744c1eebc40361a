package auth

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/secret"
)

// CheapHasher makes hashes that cost next to nothing.
func CheapHasher(n int) *Hasher { return newHasher(n, params{memory: 64, time: 1, lanes: 1}) }

// HasherOf makes hashes of so many KiB.
func HasherOf(memory uint32) *Hasher { return newHasher(1, params{memory: memory, time: 1, lanes: 1}) }

// NoQueue turns away whoever finds no place.
func (h *Hasher) NoQueue() { h.queue = limit.NewSemaphore(1, 0, hashPatience) }

// Worked has f told of each piece of hashing work.
func (h *Hasher) Worked(f func(cost float64)) { h.worked = f }

// Block takes all places and the queue; release lets go of the places.
func (h *Hasher) Block(n int) (release func()) {
	for range n {
		_ = h.queue.Acquire(context.Background(), limit.Claim{})
	}
	return func() {
		for range n {
			h.queue.Release()
		}
	}
}

// Open tells what Token is worth for a session.
func (a *Auth) Open(token, session string) bool {
	_, ok := a.openToken(token, session)
	return ok
}

// ParseForm reads a body.
func ParseForm(body string) (map[string]string, error) { return parseForm(body) }

// Try counts a try, and gives how long to wait instead of making it; device is
// "" for one that is not known.
func (t *Throttle) Try(name, addr, device string) (wait time.Duration) {
	_, wait = t.take(context.Background(), visitor{name: name, from: originOf(netip.MustParseAddr(addr)), device: device})
	return wait
}

// Network is the address that a throttle counts by.
func Network(a netip.Addr) string { return originOf(a).address }

// FindAlias says that the alias does not lead to the account of that name.
func FindAlias(ctx context.Context, a Accounts, email bool, text, want string) error {
	source, ok := a.(aliases)
	if !ok {
		return fmt.Errorf("%T knows no aliases", a)
	}
	names, err := source.find(ctx, aliasOf(email, text))
	if err != nil || len(names) != 1 || names[0] != want {
		return fmt.Errorf("%s leads to %v, %w", text, names, err)
	}
	return nil
}

// AddAnyName stores an account as an older version might have.
func (d *Database) AddAnyName(ctx context.Context, name, hash string) error {
	return d.write(ctx, name, func([]byte) ([]byte, error) {
		return encode(Account{Name: name, PasswordHash: secret.New(hash), Stamp: "stamp"})
	})
}

// SetPatience changes how long accounts of other nodes are believed and how
// long a question to the database may take, and returns how long they were.
func (d *Database) SetPatience(life, question time.Duration) (wasLife, wasQuestion time.Duration) {
	k := d.keeper.(postgresKeeper) //nolint:forcetypeassert // for those of PostgreSQL alone
	wasLife, wasQuestion = d.life, k.patience
	d.life = life
	k.patience = question
	d.keeper = k
	return wasLife, wasQuestion
}

// SetPatience changes how long a try waits for the store, and returns how long
// it was.
func (t *Throttle) SetPatience(d time.Duration) (before time.Duration) {
	before, t.shared.patience = t.shared.patience, d
	return before
}

// SetFresh sets for how long a login speaks for the person by itself.
func (a *Auth) SetFresh(d time.Duration) { a.fresh = d }
