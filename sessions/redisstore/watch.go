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
	watchPing  = time.Second            // silence after which the connection is pinged
	watchRetry = 250 * time.Millisecond // pause between attempts to subscribe
)

// Watch implements sessions.SharedStore. It subscribes to the channel on which
// Update, Delete and DeleteExpired announce the keys of what they change, and subscribes
// again after each loss, for as long as ctx lasts. A dead connection is noticed within 3 seconds: after a second of silence Watch
// pings, and waits 2 seconds for an answer. The log has one warning for each outage,
// however many attempts fail.
//
// missed is called after each subscription and not before it: Redis keeps no messages, so
// whatever was announced while nothing was subscribed is lost, and only from now on
// nothing is.
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

// listen subscribes on one connection and calls changed with each announced key until the
// connection is lost; it returns why. It calls begun when Redis has confirmed the
// subscription, and again if the client has subscribed anew by itself. An answer to a
// ping counts as a sign of life, as does any message.
func (s *Store) listen(ctx context.Context, changed func(key string), begun func()) error {
	sub := s.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // a read does not notice the end of ctx
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

// warnOfEviction logs a warning if Redis may evict an index when its memory is full:
// revoking all sessions of a user would then miss some. It needs the permission to run
// INFO; without it, it does nothing.
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
