package pgstore

import "gatehouse/internal/secret"

// Config is the section session.postgres of the configuration, for the
// store postgres, and for accounts beside the store redis.
type Config struct {
	// URL says where, as psql takes it: postgres://user:password@host/database
	// and parameters such as sslmode, sslrootcert and pool_max_conns. PGPASSFILE
	// and the other variables of libpq count for what it leaves out.
	URL secret.Text `yaml:"url"`
}

// Same says whether both describe the same database in the same way.
func (c *Config) Same(d *Config) bool { return c.URL.Reveal() == d.URL.Reveal() }
