package postgres

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// parse parses the URL as libpq does, including PG... environment variables, .pgpass and TLS
// files, and sets our own defaults. Its errors never contain the URL, which may hold a
// password.
func parse(text string) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("is no URL; write one like postgres://user@host/database?sslmode=verify-full, with characters like / or # of a password in percent-encoding")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("does not begin with postgres://; write one like postgres://user@host/database?sslmode=verify-full")
	}
	c, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, errors.New(reason(err, u))
	}
	q := u.Query()
	if !q.Has("pool_max_conns") {
		c.MaxConns = maxConns
	}
	if c.ConnConfig.ConnectTimeout <= 0 || !q.Has("connect_timeout") {
		c.ConnConfig.ConnectTimeout = connectTime
	}
	params := c.ConnConfig.RuntimeParams
	if params["statement_timeout"] == "" {
		params["statement_timeout"] = strconv.FormatInt(longest.Milliseconds(), 10)
	}
	if params["application_name"] == "" {
		params["application_name"] = "gatehouse"
	}
	c.PingTimeout = connectTime
	return c, nil
}

// reason returns what is wrong with the URL, derived from pgx's error, without any part of it.
func reason(err error, u *url.URL) string {
	low := strings.ToLower(err.Error())
	q := u.Query()
	for _, key := range []string{"sslrootcert", "sslcert", "sslkey"} {
		if q.Has(key) && (strings.Contains(low, "read ca") || strings.Contains(low, key) || strings.Contains(low, "cert") || strings.Contains(low, "key")) {
			return "names certificates that cannot be read; check sslrootcert, sslcert and sslkey, and write absolute paths"
		}
	}
	for _, known := range []struct{ sign, say string }{
		{"sslmode", "has an sslmode that is not known; write verify-full"},
		{"port", "has a port that is no number from 1 to 65535"},
		{"service", "names a service that cannot be read; check service and PGSERVICEFILE"},
		{"connect_timeout", "has a connect_timeout that is no number of seconds"},
		{"pool_", "has a pool_ parameter that cannot be read"},
		{"query_exec_mode", "has a default_query_exec_mode that is not known; leave it out"},
	} {
		if strings.Contains(low, known.sign) {
			return known.say
		}
	}
	return "cannot be read; write one like postgres://user@host/database?sslmode=verify-full"
}

// Check returns what is wrong with a URL as an error, and what is doubtful about it as a
// warning; "" means nothing is. Both texts continue a sentence that begins with the name of
// the key, and name the remedy. Check reads the files that the URL names and does not connect.
func Check(text string) (warning string, err error) {
	c, err := parse(text)
	if err != nil {
		return "", err
	}
	cc := c.ConnConfig
	if cc.Database == "" {
		return "", errors.New("names no database; write one like postgres://user@host/database")
	}
	plain, unproved := false, false
	judge := func(host string, tls, proved bool) {
		if local(host) {
			return
		}
		plain, unproved = plain || !tls, unproved || !proved
	}
	proves := cc.TLSConfig != nil && (!cc.TLSConfig.InsecureSkipVerify || cc.TLSConfig.VerifyPeerCertificate != nil)
	judge(cc.Host, cc.TLSConfig != nil, proves)
	for _, f := range cc.Fallbacks {
		proves := f.TLSConfig != nil && (!f.TLSConfig.InsecureSkipVerify || f.TLSConfig.VerifyPeerCertificate != nil)
		judge(f.Host, f.TLSConfig != nil, proves)
	}
	switch {
	case plain:
		return "without sslmode=verify-full, what goes to the database may go in the clear; write sslmode=verify-full, and sslrootcert where its certificate is not of a public authority", nil
	case unproved:
		return "with this sslmode nobody looks at whose certificate it is, so that anybody on the way can be the database; write sslmode=verify-full, and sslrootcert where its certificate is not of a public authority", nil
	}
	return "", nil
}

// local reports whether connections to the host stay on this machine.
func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	h, _, err := net.SplitHostPort(host)
	if err != nil {
		h = host
	}
	ip, err := netip.ParseAddr(h)
	return err == nil && ip.IsLoopback()
}
