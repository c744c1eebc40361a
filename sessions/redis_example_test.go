package sessions_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/sessions"
)

// A store does not connect before it is asked for something.
func ExampleNewRedis() {
	store, err := sessions.NewRedis(sessions.RedisOptions{URL: "redis+sentinel://gatehouse@s1:26379,s2:26379/0?master=mymaster", Password: "..."})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("closed:", store.Close())
	_, err = sessions.NewRedis(sessions.RedisOptions{URL: "redis://h1,h2"})
	fmt.Println(err)
	// Output:
	// closed: <nil>
	// sessions: the URL of redis names 2 servers; write redis+cluster or redis+sentinel in place of redis
}

func TestRedisCacheRefusesACluster(t *testing.T) {
	t.Parallel()
	_, err := sessions.NewRedisCache(sessions.RedisOptions{URL: "redis+cluster://h1"})
	if err == nil || !strings.Contains(err.Error(), "Cluster") {
		t.Errorf("%v", err)
	}
}
