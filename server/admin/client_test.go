package admin

import (
	"strings"
	"testing"

	"gatehouse/config"
)

// Whoever could put a socket into the folder would be sent hashes.
func TestWhoseControlSocketIsBelieved(t *testing.T) {
	for _, c := range []struct {
		uid, ours, owner uint32
		want             bool
	}{{0, 1000, 1000, true}, {1000, 1000, 1000, true}, {1000, 0, 1000, true}, {1001, 1000, 1000, false}, {1001, 0, 0, false}} {
		if got := mayServe(c.uid, c.ours, c.owner); got != c.want {
			t.Errorf("mayServe(%d, %d, %d) = %t", c.uid, c.ours, c.owner, got)
		}
	}
}

func TestElsewhere(t *testing.T) {
	for store, want := range map[string]string{"bolt": "", "memory": "", "redis": "redis-cli", "postgres": "pg_dump"} {
		c := config.Defaults()
		c.Session.Store = store
		if err := Elsewhere(c, "backup"); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", store, err)
		}
	}
}
