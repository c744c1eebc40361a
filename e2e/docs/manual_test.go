//go:build e2e

package docs_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

// TestShownUnit: the unit that docs/operations.md shows is the one of packaging.
func TestShownUnit(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("packaging/gatehouse.service")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, slices.Concat([]byte("```ini\n"), unit, []byte("```\n"))) {
		t.Error("docs/operations.md does not show packaging/gatehouse.service as it is")
	}
}

// TestCommandsDoc: docs/commands.md is what the commands say of themselves.
func TestCommandsDoc(t *testing.T) {
	t.Parallel()
	const file = "docs/commands.md"
	want, err := exec.CommandContext(t.Context(), e2e.Program(), "man", "--markdown").Output() //nolint:gosec // the program under test
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil { //nolint:gosec // for everybody
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the commands say; run: go test -tags e2e ./e2e/docs -run TestCommandsDoc -update", file)
	}
}

// TestManPages: there is a page for every command that a help names, it says
// all that it has to, and mandoc finds nothing wrong with it.
func TestManPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), e2e.Program(), "man", dir).CombinedOutput(); err != nil { //nolint:gosec // the program under test
		t.Fatalf("%v\n%s", err, out)
	}
	seen := 0
	var check func(words []string)
	check = func(words []string) {
		help := commandHelp(t, words)
		name := strings.Join(append([]string{"gatehouse"}, words...), "-")
		file := filepath.Join(dir, name+".1")
		text, err := os.ReadFile(file) //nolint:gosec // of this test
		if err != nil {
			t.Errorf("no page: %v", err)
			return
		}
		seen++
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS"} {
			if !bytes.Contains(text, []byte("\n.SH "+section+"\n")) {
				t.Errorf("%s has no section %s", name, section)
			}
		}
		own, _, _ := strings.Cut(help, "Flags of all commands:")
		for _, flag := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(own, -1) {
			if !bytes.Contains(text, []byte(strings.ReplaceAll("--"+flag[1], "-", `\-`))) {
				t.Errorf("%s does not say --%s", name, flag[1])
			}
		}
		if out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "lint", "-W", "warning", file).CombinedOutput(); err != nil { //nolint:gosec // a checker
			t.Errorf("mandoc (make setup installs it): %v\n%s", err, out)
		}
		// As man(1) would show it.
		out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "utf8", "-O", "width=200", file).Output() //nolint:gosec // a checker
		if err != nil || !bytes.Contains(out, []byte("gatehouse "+strings.Join(words, " "))) && len(words) > 0 {
			t.Errorf("%s is shown as %v\n%s", name, err, out)
		}
		for _, c := range commandsIn(help) {
			check(append(slices.Clip(words), c))
		}
	}
	check(nil)
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) != seen || seen < 20 {
		t.Errorf("%d pages, %d commands: %v", len(pages), seen, err)
	}
}

func commandHelp(t *testing.T, words []string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), e2e.Program(), append(slices.Clip(words), "--help")...).Output() //nolint:gosec // the program under test
	if err != nil {
		t.Fatalf("%v --help: %v", words, err)
	}
	return string(out)
}

// commandsIn reads the commands that a help lists, between its titles and its
// flags.
func commandsIn(help string) (names []string) {
	listing := false
	for line := range strings.Lines(help) {
		switch line = strings.TrimRight(line, "\n"); {
		case !strings.HasPrefix(line, " ") && strings.HasSuffix(line, ":"):
			listing = line != "Usage:" && line != "Examples:" && line != "Aliases:" && !strings.Contains(line, "lags")
		case listing && strings.HasPrefix(line, "  "):
			names = append(names, strings.Fields(line)[0])
		}
	}
	return names
}
