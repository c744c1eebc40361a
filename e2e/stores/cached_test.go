//go:build e2e

package stores_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// TestRedisInFrontOfPostgres: a cache that has gone, or was emptied, costs
// speed and no session; nor does a restart of the gate. While the database is
// away, what a node has in memory serves for its three seconds.
func TestRedisInFrontOfPostgres(t *testing.T) {
	t.Parallel()
	database, cache := e2e.StartPostgres(t), e2e.StartRedis(t)
	gate := e2e.Start(t, e2e.HTTP1, "session:\n  secrets: ["+nodeSecret+"]\n  store: postgres\n  cache: redis\n  redis: {url: \""+cache.URL+"\"}\n"+
		"  postgres: {url: \""+database.Database(t).URL+"\"}\n"+e2e.Standard(e2e.Serve(t, "app")))
	alice := gate.Browser(t)
	in := func(when string) {
		t.Helper()
		for range 5 {
			if status := alice.Fetch("/private").Status; status != http.StatusOK {
				t.Errorf("%s: %d", when, status)
			}
		}
	}
	alice.Login("alice", e2e.Password)
	in("after the login")
	e2e.Eventually(t, func() error {
		alice.Fetch("/private")
		if n := cache.Do(t, "DBSIZE"); n == int64(0) {
			return errors.New("the cache holds nothing")
		}
		return nil
	})
	cache.Kill(t)
	in("without Redis")
	gate.Stop(t)
	gate.Run(t)
	in("without Redis, after a restart")
	gate.Browser(t).Login("bob", e2e.Password)
	cache.Run(t)
	in("when Redis is there again, empty")
	cache.Do(t, "FLUSHALL")
	in("when Redis was emptied")
	gate.Stop(t)
	cache.Do(t, "FLUSHALL")
	gate.Run(t)
	in("when Redis was emptied, after a restart")

	e2e.Eventually(t, func() error {
		if status := alice.Fetch("/private").Status; status != http.StatusOK {
			return fmt.Errorf("before the database goes: %d", status)
		}
		began := time.Now()
		database.Stop(t)
		a := alice.Fetch("/private")
		took := time.Since(began)
		database.Start(t)
		switch {
		case a.Status == http.StatusOK:
			return nil
		case took > 2*time.Second:
			return fmt.Errorf("it took %s to stop the database", took) // a slow machine
		}
		return fmt.Errorf("%s after the database has gone: %d", took, a.Status)
	})
	e2e.Eventually(t, func() error {
		if status := alice.Fetch("/private").Status; status != http.StatusOK {
			return fmt.Errorf("when the database is there again: %d", status)
		}
		return nil
	})
	e2e.Eventually(t, func() error { // connections of before are found dead one by one
		if status := alice.TrySubmit("/_gate/logout", url.Values{}); status != http.StatusSeeOther {
			return fmt.Errorf("logout: %d", status)
		}
		return nil
	})
	if who := alice.SignedInAs(); who != "" {
		t.Errorf("signed in as %q after the logout", who)
	}
}
