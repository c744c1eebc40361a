package config_test

import (
	"fmt"

	"gatehouse/config"
)

func ExampleParse() {
	c, err := config.Parse("gatehouse.yaml", []byte(`
routes:
  - host: wiki.example.com
    upstream: http://127.0.0.1:3000
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Listen, c.Session.MaxAge, c.Routes[0].Upstream)
	// Output: 127.0.0.1:8080 12h http://127.0.0.1:3000
}

// All mistakes of a file are told at once, each with its place and remedy.
func ExampleProblems() {
	_, err := config.Parse("gatehouse.yaml", []byte(`
listen: 8080
session: {idle_timeout: 30}
routes:
  - to: http://127.0.0.1:3000
`))
	fmt.Println(err)
	// Output:
	// gatehouse.yaml:2: listen: "8080" is only a port; write 127.0.0.1:8080, or :8080 for all addresses
	// gatehouse.yaml:3: session.idle_timeout: "30" has no unit; write 30s, 30m, 30h or 30d
	// gatehouse.yaml:5: routes[0].to: unknown key; write upstream
}

// A configuration can be made in code as well.
func ExampleConfig_CheckAll() {
	c := config.Defaults()
	c.Listen = "localhost"
	fmt.Println(c.CheckAll())
	// Output: listen: "localhost" is not host:port; write 127.0.0.1:8080, unix:/path, or systemd
}
