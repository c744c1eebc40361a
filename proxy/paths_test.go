package proxy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cases is the folder of the case files. GATEHOUSE_CASES names another one
// with the same layout.
func cases(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("GATEHOUSE_CASES"); dir != "" {
		return dir
	}
	return filepath.Join("..", "testdata", "cases")
}

// table reads a TSV file, without its head.
func readTSV(tb testing.TB, name string) [][]string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(cases(tb), name)) //nolint:gosec // G304: a test file
	if err != nil {
		tb.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(data)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	return rows[1:]
}

// verdictOf says in the words of paths.tsv what became of a request.
func verdictOf(answer string, reached bool) string {
	switch s := status(answer); {
	case reached && s == "200":
		return "pass"
	case strings.Contains(answer, "login page"):
		return "login-page"
	case s == "302":
		return "gate"
	default:
		return s
	}
}

// Every path of the case files, as anybody and as alice, who is no admin.
func TestPathCases(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	for _, row := range readTSV(t, "paths.tsv") {
		target := strings.Replace(strings.Replace(row[1], "/_auth", "/_gate", 1), "/_AUTH", "/_GATE", 1)
		t.Run(row[0], func(t *testing.T) {
			for who, want := range map[string]string{"": row[2], "alice": row[3]} {
				up.forget()
				cookie := ""
				if who != "" {
					cookie = "Cookie: " + ourCookie + "=" + who + "\r\n"
				}
				answer := h.get(t, target, cookie)
				seen := up.seen()
				got := verdictOf(answer, len(seen) > 0)
				if got == "pass" && who == "" {
					got = "public"
				}
				if got == "403" && who == "" {
					got = "gate"
				}
				if !slices.Contains(strings.Split(want, "|"), got) {
					t.Errorf("GET %s as %q: %s, want %s", target, who, got, want)
				}
				if got != "pass" && got != "public" {
					up.empty(t)
					continue
				}
				request := up.one(t)
				if line, _, _ := strings.Cut(request, "\r\n"); line != "GET "+target+" HTTP/1.1" {
					t.Errorf("upstream got %q, want the target as it was sent: %s", line, target)
				}
				if row[2] == "public" {
					anonymous(t, request)
				} else {
					signed(t, request, who)
				}
			}
		})
	}
}
