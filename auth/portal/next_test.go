package portal_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/e2e"
)

// Django 112, 117.
func TestSafeNext(t *testing.T) {
	for _, c := range []struct{ name, next, want string }{
		{"root", "/", "/"},
		{"query and fragment are free", "/app?u=//evil.test/..#/../x", "/app?u=//evil.test/..#/../x"},
		{"fragment of a single page application", "/#/inbox/7", "/#/inbox/7"},
		{"slash at the end", "/app/", "/app/"},
		{"space", "/a b", "/a%20b"},
		{"space at the end", "/a ", "/a%20"},
		{"not ASCII", "/é", "/%C3%A9"},
		{"not UTF-8", "/\xff", "/%FF"},
		{"markup", `/"><script>`, `/"><script>`},
		{"looks like ours", "/_gatehouse/x", "/_gatehouse/x"},
		{"ours below another", "/app/_gate/x", "/app/_gate/x"},
		{"ours in the query", "/app?x=/_gate/logout", "/app?x=/_gate/logout"},
		{"dots within a segment", "/a..b/...", "/a..b/..."},
		{"empty segment", "/wiki//page", "/wiki//page"},
		{"address in a path", "/proxy/2//_msearch?x=1", "/proxy/2//_msearch?x=1"},

		{"empty", "", ""},
		{"relative", "app", ""},
		{"scheme-relative", "//evil.test", ""},
		{"backslash", `/\evil.test`, ""},
		{"backslash further on", `/a\b`, ""},
		{"backslash in the query", `/a?b=\`, ""},
		{"tab", "/\t/evil.test", ""},
		{"header line", "/a\r\nSet-Cookie: x=1", ""},
		{"host behind parameters", "/;//evil.test", ""},
		{"dot segment", "/a/./b", ""},
		{"dots at the end", "/a/..", ""},
		{"encoded dots", "/a/%2e%2E/b", ""},
		{"half-encoded dots", "/a/.%2e", ""},
		{"dots with parameters", "/a/..;x/b", ""},
		{"too long", "/" + strings.Repeat("a", 16<<10), ""},
		{"too long once encoded", "/" + strings.Repeat("é", 3000), ""},
		{"broken escape", "/%", ""},
		{"ours in full width", "/＿gate/logout", ""},
		{"ours with a full-width slash", "/_gate%ef%bc%8flogout", ""},
		{"ours with a dot behind", "/_gate./logout", ""},
		{"ours with a space behind", "/_gate%20/logout", ""},
		{"ours as a stream", "/_gate::$INDEX_ALLOCATION/logout", ""},
		{"ours before a NUL", "/_gate%00/logout", ""},
		{"ours behind an overlong slash", "/%c0%af_gate/logout", ""},
		{"ours behind a script", "/index.php/_gate/logout", ""},
		{"ours", "/_gate/", ""},
		{"ours without the slash", "/_gate", ""},
		{"ours with a query", "/_gate?x", ""},
		{"ours encoded", "/%5fgate/logout", ""},
		{"ours encoded twice", "/%255fgate/logout", ""},
		{"ours with an encoded slash", "/_gate%2flogout", ""},
		{"ours in capitals", "/_GATE/logout", ""},
		{"ours with parameters", "/_gate;a=b/logout", ""},
		{"ours after encoded dots and slashes", "/x%2f..%2f_gate/logout", ""},
		{"ours after an encoded question mark", "/_gate%3f/logout", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := portal.SafeNext(c.next)
			if want := c.want; ok != (want != "") || ok && got != want || !ok && got != "/" {
				t.Errorf("SafeNext(%q) = %q, %v; want %q", c.next, got, ok, want)
			}
		})
	}
	if got, ok := portal.SafeNext("/" + strings.Repeat("a", 16<<10-1)); !ok || len(got) != 16<<10 {
		t.Errorf("16 KiB: %d bytes, %v", len(got), ok)
	}
}

func TestSafeNextKeepsAndDropsWhatTheTableSays(t *testing.T) {
	for _, row := range e2e.Cases(t, "return-to.tsv") {
		sent := strings.ReplaceAll(row["value_as_sent_in_the_query"], "_auth", "_gate")
		next, err := url.QueryUnescape(strings.ReplaceAll(sent, "+", "%2B"))
		if err != nil {
			t.Fatalf("%s: %v", row["id"], err)
		}
		got, ok := portal.SafeNext(next)
		switch {
		case row["expected"] == "keep" && !ok:
			t.Errorf("%s: %q is dropped; want it kept", row["id"], next)
		case row["expected"] == "drop" && ok:
			t.Errorf("%s: %q is kept; want it dropped (%s)", row["id"], next, row["why"])
		}
		if ok && got != carried(next) {
			t.Errorf("%s: %q comes out as %q", row["id"], next, got)
		}
	}
}

// carried is how a header line says s: byte for byte, but for what it cannot
// hold.
func carried(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Django's url_has_allowed_host_and_scheme takes hosts and relative paths.
// Ours takes paths of this origin alone, so that it is stricter where a row
// is safe to Django for one of the reasons below, and never laxer.
//
// Django 114, 115, 116, 117.
func TestSafeNextIsNeverLaxerThanDjango(t *testing.T) {
	for _, row := range e2e.Cases(t, "redirect-urls.tsv") {
		var u string
		if err := json.Unmarshal([]byte(row["url_json"]), &u); err != nil {
			t.Fatalf("%s: %v", row["id"], err)
		}
		_, ok := portal.SafeNext(u)
		safe := row["safe"] == "true"
		switch {
		case ok && !safe:
			t.Errorf("%s: %q is kept, Django refuses it", row["id"], u)
		case !ok && safe && stricter(u) == "":
			t.Errorf("%s: %q is refused, Django keeps it, and there is no reason for it", row["id"], u)
		}
	}
}

func stricter(u string) string {
	switch {
	case !strings.HasPrefix(u, "/"):
		return "not an absolute path: another host, or relative to the login page"
	case strings.HasPrefix(u, "//"):
		return "names a host"
	case strings.ContainsAny(u, "\t\r\n\\"):
		return "holds what a header line must not, or what browsers take for a slash"
	case len(carried(u)) > 16<<10:
		return "too long for an address once it is encoded"
	}
	return ""
}

func FuzzSafeNext(f *testing.F) {
	for _, s := range []string{"/", "/a b?c#d", "//x", `/\x`, "/%2e%2e/_gate/", "/_gate%2flogout", "/é\xff", "/;//x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "app.example.test", Path: "/_gate/login"}
	f.Fuzz(func(t *testing.T, next string) {
		got, ok := portal.SafeNext(next)
		if !ok {
			if got != "/" {
				t.Fatalf("%q is refused and comes out as %q", next, got)
			}
			return
		}
		if got != carried(next) {
			t.Errorf("%q comes out as %q", next, got)
		}
		if again, ok := portal.SafeNext(got); !ok || again != got {
			t.Errorf("%q is safe once and %q, %v afterwards", next, again, ok)
		}
		// Two readers: net/url, and one that reads as browsers do.
		if u, err := url.Parse(got); err == nil {
			if to := base.ResolveReference(u); to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil {
				t.Errorf("%q leads net/url to %s", next, to)
			}
		}
		flat := strings.Map(func(r rune) rune {
			switch r {
			case '\t', '\r', '\n':
				return -1
			case '\\':
				return '/'
			}
			return r
		}, strings.TrimSpace(got))
		if !strings.HasPrefix(flat, "/") || strings.HasPrefix(flat, "//") || strings.HasPrefix(strings.ToLower(flat), "/_gate/") {
			t.Errorf("%q leads a browser to %q", next, flat)
		}
	})
}

func ExampleSafeNext() {
	fmt.Println(portal.SafeNext("/wiki/Home?tab=2#history"))
	fmt.Println(portal.SafeNext("//evil.example/"))
	// Output:
	// /wiki/Home?tab=2#history true
	// / false
}
