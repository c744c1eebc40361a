package config

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// TestSessionConfigCheck is about the stores; how long sessions last is tested
// in sessions.
func TestSessionConfigCheck(t *testing.T) {
	const goodSecret = "k3Jx9+Qv2mW8zR5tYb7NcD4fGhLpSaUe1oEiX6w0HqM=" //nolint:gosec // of this test
	secrets := func(text string) []secret.Text { return []secret.Text{secret.New(text)} }
	for _, test := range []struct {
		name   string
		change func(c *SessionConfig)
		want   string // "key: part of the text", with "warn " in front of a warning
	}{
		{"defaults", func(*SessionConfig) {}, ""},
		{"memory", func(c *SessionConfig) { c.Store = "memory" }, ""},
		{"redis", func(c *SessionConfig) {
			c.Store, c.Secrets, c.Redis.URL = "redis", secrets(goodSecret), secret.New("redis://127.0.0.1")
		}, ""},
		{"redis without url", func(c *SessionConfig) { c.Store = "redis" }, "redis.url: is missing; store: redis needs it"},
		{"redis without secrets", func(c *SessionConfig) { c.Store, c.Redis.URL = "redis", secret.New("redis://127.0.0.1") }, "warn secrets: each node makes one of its own"},
		{"postgres", func(c *SessionConfig) {
			c.Store, c.Secrets, c.Postgres.URL = "postgres", secrets(goodSecret), secret.New("postgres://127.0.0.1/gate")
		}, ""},
		{"postgres without url", func(c *SessionConfig) { c.Store = "postgres" }, "postgres.url: is missing; store: postgres needs it"},
		{"postgres without secrets", func(c *SessionConfig) { c.Store, c.Postgres.URL = "postgres", secret.New("postgres://127.0.0.1/gate") }, "warn secrets: each node makes one of its own"},
		{"accounts beside redis", func(c *SessionConfig) {
			c.Store, c.Secrets, c.Redis.URL, c.Postgres.URL = "redis", secrets(goodSecret), secret.New("redis://127.0.0.1"), secret.New("postgres://127.0.0.1/gate")
		}, ""},
		{"cache", func(c *SessionConfig) {
			c.Store, c.Cache, c.Secrets = "postgres", "redis", secrets(goodSecret)
			c.Redis.URL, c.Postgres.URL = secret.New("redis://127.0.0.1"), secret.New("postgres://127.0.0.1/gate")
		}, ""},
		{"unknown cache", func(c *SessionConfig) { c.Cache = "memcached" }, `cache: "memcached" is not a cache; write redis, or leave it out`},
		{"cache of another store", func(c *SessionConfig) { c.Cache = "redis" }, "cache: is for store: postgres, and the store is bolt; remove it, or write store: postgres"},
		{"cache without url", func(c *SessionConfig) {
			c.Store, c.Cache, c.Secrets, c.Postgres.URL = "postgres", "redis", secrets(goodSecret), secret.New("postgres://127.0.0.1/gate")
		}, "redis.url: is missing; cache: redis needs it"},
		{"cache in a cluster", func(c *SessionConfig) {
			c.Store, c.Cache, c.Secrets = "postgres", "redis", secrets(goodSecret)
			c.Redis.URL, c.Postgres.URL = secret.New("redis+cluster://127.0.0.1"), secret.New("postgres://127.0.0.1/gate")
		}, "redis.url: names a Cluster; cache: redis takes one server"},
		{"unknown store", func(c *SessionConfig) { c.Store = "file" }, `store: "file" is not a store; write bolt, memory, redis or postgres`},
		{"redis url", func(c *SessionConfig) { c.Redis.URL = secret.New("redis://x") }, "redis: is not used with store: bolt; remove the section, or write store: redis"},
		{"postgres url", func(c *SessionConfig) { c.Postgres.URL = secret.New("postgres://x") }, "postgres.url: is not used with store: bolt; remove the section, or write store: postgres"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Defaults().Session
			test.change(&c)
			var found problem.List
			c.Check(&found)
			var all []string
			for _, p := range found.Errors {
				all = append(all, p.String())
			}
			for _, p := range found.Warnings {
				all = append(all, "warn "+p.String())
			}
			key, text, _ := strings.Cut(test.want, ": ")
			switch {
			case test.want == "" && len(all) > 0:
				t.Errorf("problems %q, want none", all)
			case test.want != "" && !slices.ContainsFunc(all, func(p string) bool { return strings.HasPrefix(p, key+": ") && strings.Contains(p, text) }):
				t.Errorf("problems %q, want %q", all, test.want)
			}
		})
	}
}
