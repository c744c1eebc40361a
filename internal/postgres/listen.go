package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	silence     = time.Second            // after which the connection is asked whether it is alive
	pingTime    = 2 * time.Second        // how long the answer may take
	listenAgain = 250 * time.Millisecond // between attempts to listen
	pooledAgain = 10 * time.Second       // the same, behind a pooler, where they fail for long
)

// Listen calls heard with the payload of everything that any node announces on the channel
// (NOTIFY), and returns when ctx ends. It calls missed when it has begun to listen, and again
// after each outage, because announcements made meanwhile are lost. Neither function may
// block.
//
// Listen uses a connection of its own, outside of the pool. It notices a dead connection
// within 3 seconds and reconnects for as long as ctx lasts. Announcements do not pass a
// pooler in transaction mode: Listen detects that and logs a warning.
func (db *DB) Listen(ctx context.Context, channel string, heard func(payload string), missed func()) {
	db.ListenAndLose(ctx, channel, heard, missed, func() {})
}

// ListenAndLose is Listen, but also calls lost each time it has stopped listening, or failed
// to begin, including at the end of ctx. lost may not block.
func (db *DB) ListenAndLose(ctx context.Context, channel string, heard func(payload string), missed, lost func()) {
	deaf := false
	for ctx.Err() == nil {
		err := db.listen(ctx, channel, heard, func() {
			if deaf {
				db.log.InfoContext(ctx, "postgres announces changes again", slog.String("channel", channel))
			}
			deaf = false
			missed()
		})
		lost()
		if ctx.Err() != nil {
			return
		}
		if !deaf {
			db.log.WarnContext(ctx, "postgres does not announce changes", slog.String("channel", channel), slog.Any("error", err))
		}
		deaf = true
		pause := listenAgain
		if errors.Is(err, errPooled) {
			pause = pooledAgain
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// listen listens on one connection until that is lost, and returns why. It calls begun once,
// when announcements are known to arrive.
func (db *DB) listen(ctx context.Context, channel string, heard func(string), begun func()) error {
	if err := db.Prepare(ctx); err != nil { // so that a node recovers without requests
		return err
	}
	c, err := db.dedicated(ctx)
	if err != nil {
		return err
	}
	defer hangUp(c)
	if err := ask(ctx, c, "LISTEN "+quote(channel)); err != nil {
		return err
	}
	if err := db.arrives(ctx, c, channel+"_test"); err != nil {
		return err
	}
	begun()
	for {
		wait, cancel := context.WithTimeout(ctx, silence)
		n, err := c.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			heard(n.Payload)
		case ctx.Err() != nil || wait.Err() == nil:
			return err
		default:
			if err := alive(ctx, c, channel); err != nil {
				return err
			}
		}
	}
}

// dedicated returns a new connection that does not belong to the pool. The caller closes it.
func (db *DB) dedicated(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	return c, explain(err)
}

// quote returns name as an identifier of SQL.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// arrives announces a random word on another connection and waits until c receives it. It
// returns errPooled if that does not happen within pingTime: a pooler accepts LISTEN and
// forgets it.
func (db *DB) arrives(ctx context.Context, c *pgx.Conn, channel string) error {
	word := rand.Text()
	if err := ask(ctx, c, "LISTEN "+quote(channel)); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	if _, err := db.Exec(wait, "SELECT pg_notify($1, $2)", channel, word); err != nil {
		return err
	}
	for heard := ""; heard != word; {
		n, err := c.WaitForNotification(wait)
		switch {
		case err == nil:
			heard = n.Payload // or an announcement of others; begun is called after it
		case ctx.Err() == nil && wait.Err() != nil:
			if err := ask(ctx, c, "SELECT 1"); err != nil {
				return err // it is the connection that has died
			}
			return errPooled
		default:
			return explain(err)
		}
	}
	return ask(ctx, c, "UNLISTEN "+quote(channel))
}

// hangUp closes the connection, even if the server does not answer.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime/2)
	defer cancel()
	_ = c.Close(ctx)
}

// ask runs a statement within pingTime and discards its result.
func ask(ctx context.Context, c *pgx.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := c.Exec(ctx, sql)
	return explain(err)
}

var errPooled = errors.New("what is announced does not arrive, as behind a pooler in transaction mode; give session.postgres.url of the server itself")

// alive returns an error if the server does not answer within pingTime, or errPooled if the
// session of the connection does not listen on the channel any more.
func alive(ctx context.Context, c *pgx.Conn, channel string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	var listens bool
	if err := c.QueryRow(ctx, "SELECT $1 IN (SELECT pg_listening_channels())", channel).Scan(&listens); err != nil {
		return fmt.Errorf("ask whether it listens: %w", explain(err))
	}
	if !listens {
		return errPooled
	}
	return nil
}
