// Gatehouse is an authenticating reverse proxy: it stands in front of a web
// application, serves its own login page, keeps the sessions, and forwards
// only what an authenticated person may send, with a header that says who it
// is. See README.md.
package main

import (
	"context"
	_ "embed" // the login page
	"os"
	"os/signal"
	"syscall"

	"gatehouse/internal/cli"
)

//go:embed login.html
var loginHTML string

// release is set by the linker (-X main.release=1.2.3); "" in a build from
// the source tree.
var release string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, cli.Build{LoginHTML: loginHTML, Release: release})
	stop()
	os.Exit(code)
}
