package deps_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWalks holds the table of walks in ARCHITECTURE.md against the imports.
// A walk is what happens to one thing, as arrows from room to room: `a` → `b` →
// `c`; `a` → `d`. Each arrow is an import, leads to a lower floor, and begins in
// a room that the walk has reached.
func TestWalks(t *testing.T) {
	pkgs := list(t)
	rows := table(t, "## Ten walks")
	if len(rows) < 10 {
		t.Errorf("%d walks, want ten at least", len(rows))
	}
	for _, row := range rows {
		for _, wrong := range wrongSteps(row[1], pkgs) {
			t.Errorf("%s: %s", row[0], wrong)
		}
	}
}

// TestWalksAreHeldAgainstImports shows that the test above would notice.
func TestWalksAreHeldAgainstImports(t *testing.T) {
	pkgs := []listed{
		{ImportPath: "gatehouse/server", Imports: []string{"gatehouse/proxy", "gatehouse/config"}},
		{ImportPath: "gatehouse/proxy", Imports: []string{"gatehouse/access", "gatehouse/server"}},
	}
	for _, c := range []struct{ walk, want string }{
		{"`server` → `proxy` → `access`; `server` → `config`", ""},
		{"`server` → `access`", "server does not import access"},
		{"`server` → `proxy` → `server`", "proxy → server goes back up"},
		{"`server` → `proxy`; `config` → `proxy`", "config: not reached before; config does not import proxy"},
		{"server", "no arrow"},
	} {
		if got := strings.Join(wrongSteps(c.walk, pkgs), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.walk, got, c.want)
		}
	}
}

// wrongSteps returns what is wrong with a walk, a line each.
func wrongSteps(walk string, pkgs []listed) (wrong []string) {
	var reached []string
	steps := 0
	for path := range strings.SplitSeq(walk, ";") {
		rooms := strings.Split(strings.ReplaceAll(path, "`", ""), "→")
		for i := range rooms {
			rooms[i] = strings.TrimSpace(rooms[i])
		}
		if reached != nil && !slices.Contains(reached, rooms[0]) {
			wrong = append(wrong, rooms[0]+": not reached before")
		}
		for i, to := range rooms[1:] {
			steps++
			from := rooms[i]
			high, ok := floor(from)
			low, found := floor(to)
			switch {
			case !ok || !found:
				wrong = append(wrong, fmt.Sprintf("%s → %s: no such room", from, to))
			case low > high:
				wrong = append(wrong, fmt.Sprintf("%s → %s goes back up", from, to))
			case !imports(pkgs, from, to):
				wrong = append(wrong, fmt.Sprintf("%s does not import %s", from, to))
			}
		}
		reached = append(reached, rooms...)
	}
	if steps == 0 {
		wrong = append(wrong, "no arrow")
	}
	return wrong
}

func imports(pkgs []listed, from, to string) bool {
	return slices.ContainsFunc(pkgs, func(p listed) bool {
		return p.room() == from && slices.Contains(p.Imports, "gatehouse/"+to)
	})
}

var (
	file     = regexp.MustCompile("`([a-z0-9_/.-]+)`") // names of Go have a capital
	testName = regexp.MustCompile(`\b(?:Test|Example)[A-Za-z0-9_]+`)
)

// TestWhereThingsAreAdded holds the table of ARCHITECTURE.md that says where a
// thing is added against the tree: the files and folders are there, and so are
// the tests that add a small one of its kind.
func TestWhereThingsAreAdded(t *testing.T) {
	tests := testNames(t)
	for _, row := range table(t, "## Where things are added") {
		for _, m := range file.FindAllStringSubmatch(row[1], -1) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s: %v", row[0], err)
			}
		}
		for _, name := range testName.FindAllString(row[2], -1) {
			if !tests[name] {
				t.Errorf("%s: there is no %s", row[0], name)
			}
		}
	}
}

// table returns the rows of the first table below a heading of ARCHITECTURE.md,
// without its head.
func table(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("ARCHITECTURE.md has no %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "|") {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("ARCHITECTURE.md: no table below %q", heading)
	}
	return rows[2:]
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Example)[A-Za-z0-9_]+)\(`)

// testNames returns the names of all tests and examples of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, p := range list(t) {
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name)) //nolint:gosec // a file of the module
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunc.FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
		}
	}
	return names
}
