// Package deps holds the order of the house: who may import whom.
package deps_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors is the order of the house: a package imports only packages on lower
// floors, and the inner rooms of its own (proxy/engine lies below proxy). A
// room that is not in the list lies on the floor of the room around it; an inner
// room with a floor of its own obeys that alone (sessions/pgstore lies above
// sessions). The leaves on floor 0 know nothing of each other.
//
// DO NOT CHANGE THIS DATA TO FIX BUILDS. If a build fails here, the import is
// in the wrong room: what two rooms need belongs on a floor below both, and
// what the upper one knows is handed down as an argument.
const floors = `
	12 main
	12 bench
	12 e2e
	11 internal/cli
	10 server
	9  config
	8  proxy
	7  auth/portal
	6  access
	6  auth
	5  auth/account
	5  auth/throttle
	4  auth/password
	3  sessions/pgstore
	2  sessions/redisstore
	1  sessions
	0  internal
`

// helpers hold what tests of several rooms share. They may import anything
// below main, and no program code imports them. Other tests import what their
// room may, the room itself, its inner rooms, and helpers.
const helpers = `
	sessions/storetest
	internal/e2e
`

// only says which rooms may import a package of the standard library that
// has no place elsewhere, and why.
var only = map[string]struct{ rooms, why string }{
	"testing": {"", "its flags and its weight belong to tests"},
	"reflect": {"config", "types are known everywhere but where YAML meets them"},
}

// listed is what is used of the output of `go list -json`.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string

	TestImports, XTestImports []string

	GoFiles, TestGoFiles, XTestGoFiles []string
}

// room is the path below the module; the module's root is main.
func (p listed) room() string { return room(p.ImportPath) }

func room(importPath string) string {
	if importPath == "gatehouse" {
		return "main"
	}
	return strings.TrimPrefix(importPath, "gatehouse/")
}

func isHelper(name string) bool { return slices.Contains(strings.Fields(helpers), name) }

// floor finds the floor of a room, or of the nearest room around it.
func floor(name string) (int, bool) {
	for {
		if n, ok := ownFloor(name); ok {
			return n, true
		}
		end := strings.LastIndexByte(name, '/')
		if end < 0 {
			return 0, false
		}
		name = name[:end]
	}
}

// ownFloor finds the floor of a room that is in the list itself.
func ownFloor(name string) (int, bool) {
	for line := range strings.Lines(floors) {
		var n int
		var listed string
		if _, err := fmt.Sscan(line, &n, &listed); err == nil && listed == name {
			return n, true
		}
	}
	return 0, false
}

// within reports whether to is an inner room of from that lies below it.
func within(to, from string) bool {
	_, own := ownFloor(to)
	return strings.HasPrefix(to, from+"/") && !own
}

// problems holds one line for each import that runs the wrong way.
func problems(pkgs []listed) []string {
	var bad []string
	for _, p := range pkgs {
		from := p.room()
		high, ok := floor(from)
		if !ok {
			bad = append(bad, from+" has no floor: add it to the lattice")
			continue
		}
		for _, imported := range p.Imports {
			if limit, ok := only[imported]; ok && !isHelper(from) && limit.rooms != from {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", from, imported, limit.why))
			}
			to, ours := roomOf(imported)
			low, ok := floor(to)
			switch {
			case !ours, isHelper(from) && to != "main":
			case isHelper(to):
				bad = append(bad, fmt.Sprintf("%s imports %s, which is for tests", from, to))
			case !ok || low < high || within(to, from):
			default:
				bad = append(bad, fmt.Sprintf("%s (floor %d) imports %s (floor %d)", from, high, to, low))
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			to, ours := roomOf(imported)
			if low, ok := floor(to); ours && ok && low >= high && to != from && !strings.HasPrefix(to, from+"/") && !isHelper(to) && !isHelper(from) {
				bad = append(bad, fmt.Sprintf("tests of %s (floor %d) import %s (floor %d)", from, high, to, low))
			}
		}
	}
	return bad
}

// roomOf is room for whatever is imported; ours is false for what is not of the
// module.
func roomOf(imported string) (name string, ours bool) {
	ours = imported == "gatehouse" || strings.HasPrefix(imported, "gatehouse/")
	return room(imported), ours
}

func TestFloors(t *testing.T) {
	for _, p := range problems(list(t)) {
		t.Error(p)
	}
}

// TestFloorsAreSeen shows that the test above would notice.
func TestFloorsAreSeen(t *testing.T) {
	for _, c := range []struct{ from, imported, want string }{
		{"gatehouse/proxy", "gatehouse/access", ""},
		{"gatehouse/proxy", "gatehouse/proxy/engine", ""},
		{"gatehouse", "gatehouse/server", ""},
		{"gatehouse", "gatehouse/internal/cli", ""},
		{"gatehouse/internal/cli", "gatehouse/internal/web/lang", ""},
		{"gatehouse/server", "gatehouse/internal/cli", "server (floor 10) imports internal/cli (floor 11)"},
		{"gatehouse/sessions/storetest", "testing", ""},
		{"gatehouse/sessions/storetest", "gatehouse/sessions", ""},
		{"gatehouse/config", "reflect", ""},
		{"gatehouse/auth", "gatehouse/proxy", "auth (floor 6) imports proxy (floor 8)"},
		{"gatehouse/proxy/engine", "gatehouse/proxy", "proxy/engine (floor 8) imports proxy (floor 8)"},
		{"gatehouse/auth", "gatehouse/auth/account", ""},
		{"gatehouse/auth", "gatehouse/auth/portal", "auth (floor 6) imports auth/portal (floor 7)"},
		{"gatehouse/auth/portal", "gatehouse/auth", ""},
		{"gatehouse/internal/web", "gatehouse/internal/audit", "internal/web (floor 0) imports internal/audit (floor 0)"},
		{"gatehouse/server", "gatehouse", "server (floor 10) imports main (floor 12)"},
		{"gatehouse/sessions", "gatehouse/sessions/pgstore", "sessions (floor 1) imports sessions/pgstore (floor 3)"},
		{"gatehouse/cellar", "fmt", "cellar has no floor: add it to the lattice"},
		{"gatehouse/auth", "testing", "auth imports testing: " + only["testing"].why},
		{"gatehouse/auth", "reflect", "auth imports reflect: " + only["reflect"].why},
		{"gatehouse", "gatehouse/sessions/storetest", "main imports sessions/storetest, which is for tests"},
	} {
		got := strings.Join(problems([]listed{{ImportPath: c.from, Imports: []string{c.imported}}}), "\n")
		if got != c.want {
			t.Errorf("%s imports %s: %q, want %q", c.from, c.imported, got, c.want)
		}
	}
	for _, c := range []struct{ from, imported, want string }{
		{"gatehouse/auth", "gatehouse/internal/e2e", ""},
		{"gatehouse/auth", "gatehouse/auth", ""},
		{"gatehouse/proxy", "gatehouse/proxy/engine", ""},
		{"gatehouse/auth", "testing", ""},
		{"gatehouse/auth", "gatehouse/proxy", "tests of auth (floor 6) import proxy (floor 8)"},
		{"gatehouse/internal/web", "gatehouse/internal/audit", "tests of internal/web (floor 0) import internal/audit (floor 0)"},
	} {
		got := strings.Join(problems([]listed{{ImportPath: c.from, XTestImports: []string{c.imported}}}), "\n")
		if got != c.want {
			t.Errorf("tests of %s import %s: %q, want %q", c.from, c.imported, got, c.want)
		}
	}
}

// TestStoresOfServersAreApart: a program whose sessions lie in memory or in a
// file compiles no client of Redis or PostgreSQL.
func TestStoresOfServersAreApart(t *testing.T) {
	for room, foreign := range map[string][]string{
		"sessions":            {"github.com/redis/", "github.com/jackc/", "gatehouse/internal/postgres"},
		"sessions/redisstore": {"github.com/jackc/", "gatehouse/internal/postgres"},
		"sessions/pgstore":    {"github.com/redis/"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "gatehouse/"+room).Output() //nolint:gosec // G204: names of this file
		if err != nil {
			t.Fatalf("go list -deps: %v", err)
		}
		for dep := range strings.Lines(string(out)) {
			for _, prefix := range foreign {
				if strings.HasPrefix(dep, prefix) {
					t.Errorf("%s needs %s", room, strings.TrimSpace(dep))
				}
			}
		}
	}
}

// TestNoInit: what happens when a program starts stands in main, where it can
// be read, and not in the order of imports.
func TestNoInit(t *testing.T) {
	for _, p := range list(t) {
		walk(t, p.Dir, p.GoFiles, func(at token.Position, n ast.Node) {
			if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init", at)
			}
		})
	}
}

// TestNoSkip: what a test needs and does not find is a failure, or one day
// nothing is tested and nobody is told.
func TestNoSkip(t *testing.T) {
	for _, p := range list(t) {
		walk(t, p.Dir, slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles), func(at token.Position, n ast.Node) {
			call, ok := n.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, call.Sel.Name) {
				return
			}
			if on, ok := call.X.(*ast.Ident); ok && slices.Contains([]string{"t", "tb", "b", "f"}, on.Name) {
				t.Errorf("%s: %s.%s", at, on.Name, call.Sel.Name)
			}
		})
	}
}

// starters are what a test calls to start a program that is not Go's and not
// built from this module. In internal/e2e, which defines them, they are free.
var starters = []string{
	"e2e.Postgres", "e2e.StartPostgres",
	"e2e.StartRedis", "e2e.StartRedisTLS", "e2e.StartRedisReplica", "e2e.StartRedisCluster", "e2e.StartSentinel",
	"exec.Command", "exec.CommandContext",
}

// alone are the files without the tag that start only what is there wherever
// Go is.
var alone = []string{
	"internal/deps/deps_test.go", // go list
	"sessions/crash_test.go",     // the test itself
}

// untagged holds one line for each test file that needs the build tag e2e and
// does not have it, and for each fuzz target that .ci/fuzz would not find.
// name is the path of the file below the module.
func untagged(name string, file *ast.File) (bad []string) {
	tagged := slices.ContainsFunc(file.Comments, func(c *ast.CommentGroup) bool {
		return c.Pos() < file.Package && strings.HasPrefix(c.List[0].Text, "//go:build e2e")
	})
	if !tagged && strings.HasPrefix(name, "e2e/") {
		bad = append(bad, name+" drives the built program: it needs the build tag e2e")
	}
	for n := range ast.Preorder(file) {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			on, _ := n.X.(*ast.Ident)
			if on != nil && !tagged && slices.Contains(starters, on.Name+"."+n.Sel.Name) && !slices.Contains(alone, name) {
				bad = append(bad, fmt.Sprintf("%s uses %s.%s: it needs the build tag e2e", name, on.Name, n.Sel.Name))
			}
		case *ast.FuncDecl:
			if tagged && strings.HasPrefix(n.Name.Name, "Fuzz") {
				bad = append(bad, fmt.Sprintf("%s has %s, which is not fuzzed behind the build tag e2e", name, n.Name.Name))
			}
		}
	}
	return bad
}

// TestGoAlone: go test ./... without a tag needs nothing but Go.
func TestGoAlone(t *testing.T) {
	for _, p := range list(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			_, file := parse(t, filepath.Join(p.Dir, name), nil)
			for _, line := range untagged(filepath.Join(strings.TrimPrefix(p.room(), "main"), name), file) {
				t.Error(line)
			}
		}
	}
}

// TestGoAloneIsSeen shows that the test above would notice.
func TestGoAloneIsSeen(t *testing.T) {
	const start = `func TestX(t *testing.T) { e2e.StartRedis(t) }`
	for _, c := range []struct{ name, text, want string }{
		{"auth/x_test.go", "package auth_test\n" + start, "auth/x_test.go uses e2e.StartRedis: it needs the build tag e2e"},
		{"auth/x_test.go", "//go:build e2e\n\npackage auth_test\n" + start, ""},
		{"auth/x_test.go", "package auth_test\n\n//go:build e2e\n" + start, "auth/x_test.go uses e2e.StartRedis: it needs the build tag e2e"},
		{"auth/x_test.go", "//go:build !e2e\n\npackage auth_test\n" + start, "auth/x_test.go uses e2e.StartRedis: it needs the build tag e2e"},
		{"auth/x_test.go", "package auth_test\nvar run = exec.Command", "auth/x_test.go uses exec.Command: it needs the build tag e2e"},
		{"auth/x_test.go", "package auth_test\nvar start = e2e.Serve", ""},
		{"e2e/gate/x_test.go", "package gate_test", "e2e/gate/x_test.go drives the built program: it needs the build tag e2e"},
		{"sessions/crash_test.go", "package sessions_test\nvar run = exec.Command", ""},
		{"auth/x_test.go", "//go:build e2e\n\npackage auth\nfunc FuzzX(f *testing.F) {}", "auth/x_test.go has FuzzX, which is not fuzzed behind the build tag e2e"},
	} {
		_, file := parse(t, c.name, c.text)
		if got := strings.Join(untagged(c.name, file), "\n"); got != c.want {
			t.Errorf("%s:\n%s\n%q, want %q", c.name, c.text, got, c.want)
		}
	}
}

// walk shows every node of the files to visit.
func walk(t *testing.T, dir string, names []string, visit func(token.Position, ast.Node)) {
	t.Helper()
	for _, name := range names {
		set, file := parse(t, filepath.Join(dir, name), nil)
		for n := range ast.Preorder(file) {
			visit(set.Position(n.Pos()), n)
		}
	}
}

// parse reads a file, or the text in its place.
func parse(t *testing.T, name string, text any) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return set, file
}

// list runs go list over the module, with the files of every build tag of ours.
func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags=e2e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,GoFiles,TestGoFiles,XTestGoFiles", "gatehouse/...").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs
		case err != nil:
			t.Fatalf("read the output of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}
