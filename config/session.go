package config

import (
	"gatehouse/internal/problem"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
)

// SessionConfig is the section session: how long sessions last, which is up to
// package sessions, and where they are kept. Each kind of store has a section of
// its own.
type SessionConfig struct {
	Store    string            `yaml:"store"`    // bolt | memory | redis | postgres
	Cache    string            `yaml:"cache"`    // redis, in front of the store postgres; "": none
	Redis    redisstore.Config `yaml:"redis"`    // for the store redis, or for the cache
	Postgres pgstore.Config    `yaml:"postgres"` // for the store postgres, and for accounts if the store is redis

	sessions.Config // its keys are in the same section
}

// SetDefaults sets the default store, bolt. The sections inside set their own
// defaults.
func (c *SessionConfig) SetDefaults() { c.Store = "bolt" }

// Check reports what is wrong with the section, and warns of what is doubtful. It
// connects to nothing.
func (c *SessionConfig) Check(report *problem.List) {
	switch c.Store {
	case "bolt", "memory", "redis", "postgres":
	default:
		report.Errorf("store", "%q is not a store; write bolt, memory, redis or postgres", c.Store)
	}
	c.checkShared(report)
	c.Config.Check(report)
}

// checkShared reports sections of stores that are missing or not used, and warns
// if nodes that share a store would not share keys.
func (c *SessionConfig) checkShared(report *problem.List) {
	switch {
	case c.Cache != "" && c.Cache != "redis":
		report.Errorf("cache", "%q is not a cache; write redis, or leave it out", c.Cache)
	case c.Cache != "" && c.Store != "postgres":
		report.Errorf("cache", "is for store: postgres, and the store is %s; remove it, or write store: postgres", c.Store)
	case c.Cache != "" && c.Redis.URL.IsZero():
		report.Errorf("redis.url", "is missing; cache: redis needs it, write one like redis://127.0.0.1:6379/0")
	case c.Cache != "" && c.Redis.IsCluster():
		report.Errorf("redis.url", "names a Cluster; cache: redis takes one server, redis:// or rediss://, or redis+sentinel://")
	case c.Store == "redis" && c.Redis.URL.IsZero():
		report.Errorf("redis.url", "is missing; store: redis needs it, write one like redis://127.0.0.1:6379/0")
	case c.Store != "redis" && c.Cache == "" && c.Redis.Used():
		report.Errorf("redis", "is not used with store: %s; remove the section, or write store: redis", c.Store)
	}
	switch {
	case c.Store == "postgres" && c.Postgres.URL.IsZero():
		report.Errorf("postgres.url", "is missing; store: postgres needs it, write one like postgres://gatehouse@db.example.com/gatehouse?sslmode=verify-full")
	case c.Store != "postgres" && c.Store != "redis" && !c.Postgres.URL.IsZero():
		report.Errorf("postgres.url", "is not used with store: %s; remove the section, or write store: postgres", c.Store)
	}
	if (c.Store == "redis" || c.Store == "postgres") && len(c.Secrets) == 0 {
		report.Warnf("secrets", "none is written, so each node makes one of its own, with which it does not know the sessions of the others; write the same ones on all nodes, unless this is the only one")
	}
}
