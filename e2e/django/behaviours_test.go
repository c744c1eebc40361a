//go:build e2e

package django_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryBehaviourOfDjango: testdata/django-rows.tsv lists what Django's
// sessions and logins do. Each behaviour has a test: a row of the case files
// that it names, which TestDjango (sessions) and TestLoginFlow run, or a test
// whose comment says "Django 37." with its number. Or docs/sessions.md says, in
// a table that begins with the number, why Gatehouse differs.
func TestEveryBehaviourOfDjango(t *testing.T) {
	t.Parallel()
	cases := caseIDs(t)
	tested := markedTests(t, ".")
	manual, err := os.ReadFile(filepath.Join("docs", "sessions.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := numbersIn(regexp.MustCompile(`(?m)^\| ([0-9][0-9, ]*) \|`), string(manual))
	rows := rowsOf(t, filepath.Join("testdata", "django-rows.tsv"))
	if len(rows) != 151 {
		t.Errorf("%d behaviours, want 151", len(rows))
	}
	byCase, byTest, byManual := 0, 0, 0
	for i, row := range rows {
		n := i + 1
		if row[0] != strconv.Itoa(n) || row[1] == "" {
			t.Fatalf("row %d is %q", n, row)
		}
		for id := range strings.FieldsSeq(row[2]) {
			if !cases[id] {
				t.Errorf("%d names the case %s, which does not exist", n, id)
			}
		}
		switch {
		case row[2] != "":
			byCase++
		case tested[n] != "":
			byTest++
		case explained[n]:
			byManual++
		default:
			t.Errorf("%d, %s: no case, no test says \"Django %d.\", and docs/sessions.md gives no reason", n, row[1], n)
		}
	}
	for n := range tested {
		if n < 1 || n > len(rows) {
			t.Errorf("%s speaks of Django %d", tested[n], n)
		}
	}
	t.Logf("%d behaviours are in case files, %d in tests alone, %d are explained alone; %d have a test by name, %d an explanation", byCase, byTest, byManual, len(tested), len(explained))
}

// caseIDs are the rows that are run.
func caseIDs(t *testing.T) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, file := range []string{"cases/session-api.tsv", "session-api-more.tsv", "cases/login-flow.tsv", "login-flow-more.tsv"} {
		for _, row := range rowsOf(t, filepath.Join("testdata", file)) {
			ids[row[0]] = true
		}
	}
	return ids
}

// rowsOf gives the fields of each line but the first.
func rowsOf(t *testing.T, file string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // a file of ours
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if i > 0 {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// markedTests gives the name of a test for each number in the comments of the
// tests of all packages. A comment elsewhere, or on a function without
// statements, counts for nothing.
func markedTests(t *testing.T, dir string) map[int]string {
	t.Helper()
	marker := regexp.MustCompile(`(?m)^Django ([0-9][0-9,\s]*)\.$`)
	tests := map[int]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of ours
		if err != nil || !strings.Contains(string(text), "// Django ") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
		if err != nil {
			return nil //nolint:nilerr // the compiler says it better
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Doc == nil || f.Recv != nil || len(f.Body.List) == 0 || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			for n := range numbersIn(marker, f.Doc.Text()) {
				tests[n] = path + ": " + f.Name.Name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

var number = regexp.MustCompile(`[0-9]+`)

// numbersIn gives the numbers in the first group of each match.
func numbersIn(re *regexp.Regexp, text string) map[int]bool {
	found := map[int]bool{}
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		for _, s := range number.FindAllString(m[1], -1) {
			n, _ := strconv.Atoi(s)
			found[n] = true
		}
	}
	return found
}

// A number in a comment of nothing, or of a test that does nothing, must not
// pass for a test.
func TestMarkersStandAtTests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"bare_test.go":  "package x\n\n// Django 1.\n\nvar a = 1\n",
		"empty_test.go": "package x\n\n// Django 2.\nfunc TestNothing() {}\n",
		"help_test.go":  "package x\n\n// Django 3.\nfunc help() { println() }\n",
		"code.go":       "package x\n\n// Django 4.\nfunc TestCode() { println() }\n",
		"real_test.go":  "package x\n\n// What it is about.\n//\n// Django 5, 6,\n// 7.\nfunc TestReal() { println() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := markedTests(t, dir)
	for n, want := range []bool{1: false, 2: false, 3: false, 4: false, 5: true, 6: true, 7: true} {
		if (got[n] != "") != want {
			t.Errorf("%d counts as tested by %q", n, got[n])
		}
	}
}
