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
	silence     = time.Second     // after so much of it the connection is asked whether it is alive
	pingTime    = 2 * time.Second // how long it may take to say so
	listenAgain = 250 * time.Millisecond
	pooledAgain = 10 * time.Second
)

// Listen calls heard with what is announced on the channel (NOTIFY), by
// whatever node, until ctx is done, and then returns. missed is called when it
// has begun to listen, and again each time that it could not for a while,
// since something may have been announced meanwhile. Neither may block.
//
// It has a connection of its own, notices within three seconds that it is
// dead, and tries again and again to make another. Behind a pooler in
// transaction mode nothing can be heard; it notices that, and the log says so.
func (db *DB) Listen(ctx context.Context, channel string, heard func(payload string), missed func()) {
	db.ListenAndLose(ctx, channel, heard, missed, func() {})
}

// ListenAndLose is Listen, and calls lost whenever it hears nothing any more.
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

// listen hears one connection until it is lost. begun is called once it
// listens.
func (db *DB) listen(ctx context.Context, channel string, heard func(string), begun func()) error {
	if err := db.Prepare(ctx); err != nil { // so that a node heals without visitors
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

// dedicated makes a connection beside the pool.
func (db *DB) dedicated(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	return c, explain(err)
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// arrives says whether the connection hears what is announced on another one: a
// pooler takes LISTEN and forgets it.
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
			heard = n.Payload // or of others, which missed makes up for
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

// hangUp closes the connection, whether the server hears of it or not.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime/2)
	defer cancel()
	_ = c.Close(ctx)
}

func ask(ctx context.Context, c *pgx.Conn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := c.Exec(ctx, sql)
	return explain(err)
}

var errPooled = errors.New("what is announced does not arrive, as behind a pooler in transaction mode; give session.postgres.url of the server itself")

// alive says whether the server still knows that the connection listens.
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
