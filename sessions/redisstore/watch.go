package redisstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	watchPing  = time.Second            // after so much silence, a ping
	watchRetry = 250 * time.Millisecond // between attempts to listen
)

// Watch serves sessions.SharedStore. It notices within 3 seconds that the connection is
// dead: after a second of silence it pings, and waits 2 seconds for anything.
func (s *Store) Watch(ctx context.Context, changed func(key string), missed func()) {
	lost := false
	for ctx.Err() == nil {
		err := s.listen(ctx, changed, func() {
			if lost {
				s.log.InfoContext(ctx, "redis announces changed sessions again")
			}
			lost = false
			s.warnOfEviction(ctx)
			missed()
		})
		if ctx.Err() != nil {
			return
		}
		if !lost {
			s.log.WarnContext(ctx, "redis does not announce changed sessions", "error", err)
		}
		lost = true
		select {
		case <-ctx.Done():
		case <-time.After(watchRetry):
		}
	}
}

// listen calls changed with what is announced until the connection is lost, and begun when
// it has begun to listen.
func (s *Store) listen(ctx context.Context, changed func(key string), begun func()) error {
	sub := s.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // or reading would not notice the end of ctx
	first, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	if err := sub.Subscribe(first, s.channel); err != nil {
		return err
	}
	for wait, pinged := defaultTimeout, true; ; {
		msg, err := sub.ReceiveTimeout(ctx, wait)
		var timeout net.Error
		switch {
		case err == nil:
		case !errors.As(err, &timeout) || !timeout.Timeout() || pinged:
			return err
		default:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			wait, pinged = defaultTimeout, true
			continue
		}
		wait, pinged = watchPing, false
		switch msg := msg.(type) {
		case *redis.Subscription:
			begun()
		case *redis.Message:
			for key := range strings.FieldsSeq(msg.Payload) {
				changed(key)
			}
		}
	}
}

// warnOfEviction warns in the log if Redis may evict an index when it is full: sessions
// could then not be found to be ended. It needs the right to INFO, and says nothing
// without it.
func (s *Store) warnOfEviction(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	info, err := s.client.Info(ctx, "memory").Result()
	if err != nil {
		return
	}
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && strings.HasPrefix(policy, "allkeys-") {
			s.log.WarnContext(ctx, "redis may drop the indexes of sessions when it is full; set maxmemory-policy noeviction", "maxmemory_policy", policy)
		}
	}
}
