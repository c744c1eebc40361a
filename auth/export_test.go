package auth

import (
	"context"

	"gatehouse/internal/limit"
)

// CheapHasher makes hashes that cost next to nothing.
func CheapHasher(n int) *Hasher { return newHasher(n, params{memory: 64, time: 1, lanes: 1}) }

// HasherOf makes hashes of so many KiB.
func HasherOf(memory uint32) *Hasher { return newHasher(1, params{memory: memory, time: 1, lanes: 1}) }

// NoQueue turns away whoever finds no place.
func (h *Hasher) NoQueue() { h.gate = limit.NewGate(1, 0, hashPatience) }

// Worked has f told of each piece of hashing work.
func (h *Hasher) Worked(f func(cost float64)) { h.worked = f }

// Block takes all places and the queue; release lets go of the places.
func (h *Hasher) Block(n int) (release func()) {
	for range n {
		_ = h.gate.Enter(context.Background())
	}
	return func() {
		for range n {
			h.gate.Leave()
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

// Network is what a throttle counts by.
var Network = network
