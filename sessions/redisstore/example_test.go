package redisstore_test

import (
	"fmt"

	"gatehouse/sessions/redisstore"
)

// A store does not connect before it is asked for something.
func ExampleNew() {
	store, err := redisstore.New(redisstore.Options{URL: "redis+sentinel://gatehouse@s1:26379,s2:26379/0?master=mymaster", Password: "..."})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("closed:", store.Close())
	_, err = redisstore.New(redisstore.Options{URL: "redis://h1,h2"})
	fmt.Println(err)
	// Output:
	// closed: <nil>
	// sessions: the URL of redis names 2 servers; write redis+cluster or redis+sentinel in place of redis
}
