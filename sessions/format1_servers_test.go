//go:build e2e

package sessions

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
)

func TestFormat1OnServers(t *testing.T) {
	testFormat1(t, map[string]func(t *testing.T) Store{"redis": format1Redis, "postgres": format1Postgres})
}

func format1Redis(t *testing.T) Store {
	t.Helper()
	s, err := NewRedis(RedisOptions{URL: e2e.StartRedis(t).URL, step: e2e.Patience})
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	text, err := os.ReadFile(filepath.Join(format1, "redis.txt"))
	check(t, err)
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		args := []any{f[0]}
		for _, word := range f[1:] {
			if plain, err := strconv.Unquote(word); err == nil {
				word = plain
			}
			args = append(args, word)
		}
		check(t, s.client.Do(t.Context(), args...).Err())
	}
	return s
}

func format1Postgres(t *testing.T) Store {
	t.Helper()
	url := e2e.Postgres(t).URL
	text, err := os.ReadFile(filepath.Join(format1, "postgres.sql"))
	check(t, err)
	c, err := pgx.Connect(t.Context(), url)
	check(t, err)
	_, err = c.Exec(t.Context(), string(text), pgx.QueryExecModeSimpleProtocol)
	check(t, err)
	check(t, c.Close(t.Context()))
	db, err := postgres.Open(postgres.Options{URL: url})
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	check(t, db.Prepare(t.Context()))
	return NewPostgres(db)
}
