//go:build e2e

package redisstore_test

import (
	"crypto/rand"
	"crypto/tls"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
	"gatehouse/sessions/redisstore"
	"gatehouse/sessions/storetest"
)

// openRedis returns an empty store: one of its own prefix.
func openRedis(tb testing.TB, o redisstore.Options) *redisstore.Store {
	tb.Helper()
	o.KeyPrefix = "gatehouse:" + rand.Text() + ":"
	s, err := redisstore.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// conforms runs the specification of stores against a server.
func conforms(t *testing.T, o redisstore.Options) {
	t.Helper()
	storetest.RunServer(t, func(t *testing.T, now func() time.Time) sessions.Store {
		t.Helper()
		o.Timeout = e2e.Patience
		s := openRedis(t, o)
		s.SetClock(now)
		return s
	})
}

func TestRedis(t *testing.T) {
	t.Parallel()
	conforms(t, redisstore.Options{URL: e2e.StartRedis(t).URL})
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	_, url := e2e.StartRedisCluster(t)
	conforms(t, redisstore.Options{URL: url})
}

func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	master := e2e.StartRedis(t)
	e2e.StartRedisReplica(t, master)
	_, url := e2e.StartSentinel(t, master)
	conforms(t, redisstore.Options{URL: url})
}

// TestRedisTLS: with a certificate on both sides, and a user who may do no
// more than what is documented.
func TestRedisTLS(t *testing.T) {
	t.Parallel()
	ca := e2e.NewCA(t, t.TempDir())
	ca.Issue(t, "127.0.0.1")
	server := e2e.StartRedisTLS(t, ca)
	ours, err := tls.LoadX509KeyPair(ca.CertFile, ca.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	good := &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{ours}, MinVersion: tls.VersionTLS12}
	conforms(t, redisstore.Options{URL: server.URL, Password: e2e.RedisPassword, TLS: good})
	for name, o := range map[string]redisstore.Options{
		"a wrong password":         {URL: server.URL, Password: "another", TLS: good},
		"no password":              {URL: server.URL, TLS: good},
		"no certificate of ours":   {URL: server.URL, Password: e2e.RedisPassword, TLS: &tls.Config{RootCAs: ca.Pool, MinVersion: tls.VersionTLS12}},
		"a CA that is not trusted": {URL: server.URL, Password: e2e.RedisPassword},
	} {
		s := openRedis(t, o)
		_, err := s.Load(t.Context(), storetest.Key(1))
		storetest.CouldNotTell(t, name, err)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
