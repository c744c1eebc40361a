package pgstore

import "gatehouse/internal/secret"

// Config is the section session.postgres of the configuration: of the store postgres, and of
// accounts beside the store redis.
type Config struct {
	// URL says where the database is, as psql takes it:
	// postgres://user:password@host/database, with parameters such as sslmode,
	// sslrootcert and pool_max_conns. For what it leaves out, the environment
	// variables of libpq count, such as PGPASSFILE.
	URL secret.Text `yaml:"url"`
}

// Same reports whether both sections are equal.
func (c *Config) Same(d *Config) bool { return c.URL.Reveal() == d.URL.Reveal() }
