//go:build e2e

package gate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// TestHTTP2Cases sends requests that a library would not: wrong names, bytes
// that do not belong into values, pseudo-headers twice.
func TestHTTP2Cases(t *testing.T) {
	t.Parallel()
	f := newFixture(t, e2e.HTTP2)
	for _, r := range table(t, "http2.tsv") {
		t.Run(r["id"], func(t *testing.T) {
			n := &names{f: f, t: t}
			fields, trailer := parseFields(t, n, r["headers_json"])
			body := ""
			if r["body"] != "" {
				if err := json.Unmarshal([]byte(r["body"]), &body); err != nil {
					t.Fatal(err)
				}
			}
			if trailer != nil {
				body = "body"
			}
			f.app.Reset()
			a, refused := f.gate.HTTP2(t, fields, body, trailer)
			o := outcomeHTTP2(a, refused)
			verdict, without, _ := strings.Cut(r["expected"], " without ")
			if err := f.check(verdict, o); err != nil {
				t.Errorf("%s\n%v\nanswered %q, refused %t; the application saw:\n%s", r["tries"], err, o.status(), refused, f.app.Bytes())
			}
			seen := f.app.Bytes()
			if without != "" && strings.Contains(seen, without) || strings.Contains(seen, "admin") {
				t.Errorf("the application saw:\n%s", seen)
			}
		})
	}
}

// parseFields reads the header list of a row. ["...", "repeated as
// described"] repeats the field before it until there are 200 KiB of values
// or, of short ones, 30,000.
func parseFields(t *testing.T, n *names, text string) (fields, trailer [][2]string) {
	t.Helper()
	if text == `"TRAILER"` {
		return [][2]string{
			{":method", "POST"},
			{":scheme", "https"},
			{":authority", e2e.Host},
			{":path", "/private/x"},
			{"cookie", n.fill("{{COOKIE}}")},
			{"trailer", "x-forwarded-user"},
		}, [][2]string{{"x-forwarded-user", "admin"}}
	}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		fields[i][1] = n.fill(fields[i][1])
	}
	last := len(fields) - 1
	if fields[last][0] != "..." {
		return fields, nil
	}
	fields = fields[:last]
	again := fields[last-1]
	count := min(200<<10/len(again[1]), 30_000)
	for i := range count {
		field := again
		if name, ok := strings.CutSuffix(again[0], "-0"); ok {
			field[0] = fmt.Sprintf("%s-%d", name, i+1)
		}
		fields = append(fields, field)
	}
	return fields, nil
}
