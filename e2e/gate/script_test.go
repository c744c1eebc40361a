//go:build e2e

package gate_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/e2e"
)

// TestScripts runs testdata/script: what the command line does, as a person
// would type it. Besides the usual commands of testscript there are
//
//	fill FILE...            replace $ADDR, $FREE and $APP in files
//	await                   wait until the gate that was started is ready
//	login USER PASSWORD     sign in at $ADDR; the cookie is kept
//	logout                  sign out
//	get PATH                print the status and the body, asked for with the cookie
//
// $ADDR and $FREE are addresses that nobody listens on at first; $APP is the
// URL of an application that answers "hello from the application".
func TestScripts(t *testing.T) {
	t.Parallel()
	app := e2e.Serve(t, "hello from the application")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			addr := e2e.FreeAddr(t)
			env.Setenv("PATH", filepath.Dir(e2e.Program())+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("ADDR", addr)
			env.Setenv("FREE", e2e.FreeAddr(t))
			env.Setenv("APP", app)
			env.Setenv("GORACE", e2e.RaceOptions)
			gate := &e2e.Gate{Mode: e2e.HTTP1, Addr: addr}
			env.Values[visitorKey{}] = gate.Browser(t)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"fill": scriptFill, "await": scriptAwait, "login": scriptLogin, "logout": scriptLogout, "get": scriptGet,
		},
	})
}

// visitorKey finds the browser of a script.
type visitorKey struct{}

func visitor(ts *testscript.TestScript) *e2e.Browser {
	b, ok := ts.Value(visitorKey{}).(*e2e.Browser)
	if !ok {
		ts.Fatalf("no browser")
	}
	return b
}

func scriptFill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		for _, v := range []string{"ADDR", "FREE", "APP"} {
			text = strings.ReplaceAll(text, "$"+v, ts.Getenv(v))
		}
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func scriptAwait(ts *testscript.TestScript, _ bool, _ []string) {
	deadline := time.Now().Add(e2e.Patience)
	for {
		err := ts.Exec("gatehouse", "health")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the gate is not ready: %v", err)
		}
	}
}

func scriptLogin(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: login USER PASSWORD")
	}
	b := visitor(ts)
	status := b.TrySubmit("/_gate/login", url.Values{"username": {args[0]}, "password": {args[1]}, "next": {"/"}})
	if (status == http.StatusSeeOther) == neg {
		ts.Fatalf("login: status %d", status)
	}
}

func scriptLogout(ts *testscript.TestScript, _ bool, _ []string) {
	if status := visitor(ts).TrySubmit("/_gate/logout", url.Values{}); status != http.StatusSeeOther {
		ts.Fatalf("logout: status %d", status)
	}
}

func scriptGet(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: get PATH")
	}
	b := visitor(ts)
	a, err := b.Try(b.Request(http.MethodGet, args[0], nil))
	ts.Check(err)
	_, _ = fmt.Fprintf(ts.Stdout(), "%d\n%s\n", a.Status, a.Body)
}
