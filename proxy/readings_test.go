package proxy

import (
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"gatehouse/access"
)

func TestPlainPath(t *testing.T) {
	for p, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a/b.c": true, "/.well-known/x": true, "/a.b.c": true, "/a..b": true, "/~u/a-b_c": true, "/A": true,
		"/@scope/pkg": true, "/wiki/Special:Page": true, "/a+b,c=d": true, "/$metadata": true, "/.a": true,
		"": false, "a": false, "//": false, "/a//b": false, "/.": false, "/..": false, "/a/.": false, "/a/..": false, "/a/./b": false, "/a/../b": false,
		"/a.": false, "/a./b": false, "/...": false, "/..a": false, "/a%20b": false, "/a;b": false, "/a\\b": false, "/ü": false, "/a b": false,
		"/a::$DATA": false, "/a\x00": false, "/a?": false, "/a#": false,
	} {
		if plainPath(p) != want {
			t.Errorf("plainPath(%q) is not %v", p, want)
		}
		if !want || p == "" {
			continue
		}
		list, ok := expand(p)
		if !ok || len(list) != 1 {
			t.Errorf("%q is plain, but has the readings %v", p, list)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, tt := range []struct{ path, want string }{
		{"/a%2fb", "/a/b"},
		{"/%252e%252e/a", "/a"},
		{"/%25252e%25252e/a", "/a"},
		{"/x/..%5ca", "/a"},
		{"/x/..;p=1/a", "/a"},
		{"//a", "/a"},
		{"/a%00.css", "/a"},
		{"/a%23b", "/a"},
		{"/a%3fb", "/a"},
		{"/a./b%20/c", "/a/b/c"},
		{"/x/..%c0%afa", "/a"},
		{"/x/..%e0%80%afa", "/a"},
		{"/x/%c0%ae%c0%ae/a", "/a"},
		{"/x/%e2%80%a5/a", "/a"},
		{"/x/..%ef%bc%8fa", "/a"},
		{"/x/%ef%bc%8e%ef%bc%8e/a", "/a"},
		{"/x/..%e2%88%95a", "/a"},
		{"/x/..%25u002fa", "/a"},
		{"/x/.%0d./a", "/a"},
		{"/x/%20..%20/a", "/a"},
		{"/a::$INDEX_ALLOCATION/b", "/a/b"},
		{"/%C3%BC", "/ü"},
	} {
		list, ok := expand(tt.path)
		if !ok || !slices.ContainsFunc(list, func(r reading) bool { return r.path == tt.want && !r.cautious }) {
			t.Errorf("readings of %s: %v, want %s among them", tt.path, list, tt.want)
		}
	}
	if list, _ := expand("/%C3%BCber%20uns"); list[0].path != "/über uns" {
		t.Errorf("as sent: %q, want what has to be escaped to be decoded", list[0].path)
	}
}

// A path that is made to have many readings costs little, and is refused.
func TestTooManyReadings(t *testing.T) {
	nasty := "/a%5c%3b%23%3f%00%20./%2e%2e%c0%af%e2%80%a5//x;/..%255c%253b::$x"
	for _, p := range []string{strings.Repeat(nasty, 4), strings.Repeat(nasty, 400)} {
		if list, ok := expand(p); ok {
			t.Errorf("%d readings of a path of %d bytes were judged", len(list), len(p))
		}
	}
}

// naive are decoders that upstreams are made of, written apart from ours and
// as simple as can be. The random tests chain them.
var naive = []func(string) string{
	func(s string) string { // PathUnescape, as long as it is content
		if u, err := url.PathUnescape(s); err == nil {
			return u
		}
		return s
	},
	func(s string) string { return path.Clean("/" + s) },
	func(s string) string { return strings.ReplaceAll(s, `\`, "/") },
	func(s string) string {
		for strings.Contains(s, "//") {
			s = strings.ReplaceAll(s, "//", "/")
		}
		return s
	},
	func(s string) string {
		var out []string
		for seg := range strings.SplitSeq(s, "/") {
			if i := strings.Index(seg, ";"); i >= 0 {
				seg = seg[:i]
			}
			out = append(out, seg)
		}
		return strings.Join(out, "/")
	},
	func(s string) string { u, _ := url.Parse("http://h" + s); return or(u, s) },
	func(s string) string { return strings.SplitN(s, "\x00", 2)[0] },
	func(s string) string { return strings.SplitN(s, "#", 2)[0] },
	func(s string) string { return strings.SplitN(s, "?", 2)[0] },
	func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < 0x21 || r == 0x7f {
				return -1
			}
			return r
		}, s)
	},
	func(s string) string { return norm.NFKC.String(s) },
	func(s string) string {
		return strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xc1\x9c", `\`, "\xe0\x80\xae", ".", "\xe0\x80\xaf", "/").Replace(s)
	},
	func(s string) string {
		var out []string
		for seg := range strings.SplitSeq(s, "/") {
			if t := strings.TrimRight(seg, ". "); t != "" {
				seg = t
			}
			out = append(out, seg)
		}
		return strings.Join(out, "/")
	},
}

func or(u *url.URL, s string) string {
	if u == nil {
		return s
	}
	return u.Path
}

// pieces are what such paths are made of.
var pieces = []string{
	"/", "/", "//", "public", "admin", "private", "healthz", "x", ".", "..", "...", ";", ";a=b", "%2f", "%2F", "%5c", "%2e", "%2E", "%252e", "%252f", "%25252e",
	"%255c", "%3b", "%253b", "%00", "%20", "%09", "%0a", "%0d", "%23", "%3f", "%c0%af", "%c0%ae", "%c1%9c", "%e0%80%af", "%e2%80%a5", "%ef%bc%8f", "%ef%bc%8e",
	"%61dmin", "adm%69n", "%70ublic", "%41", "Admin", "PUBLIC", "/public/", "/admin/", "/../", "/./", "_gate", "%5fgate", "ü", "%C3%BC", "+", ":", "::$DATA", "@",
}

func drawPath(t *rapid.T) string {
	return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 7).Draw(t, "pieces"), "")
}

func testRoutes(tb testing.TB) *hostRoutes {
	tb.Helper()
	var all table
	for p, list := range map[string][]access.RuleConfig{"/": fixtureRules(), "/private": {{Path: "/private", Users: []string{"alice"}}}} {
		rules, err := access.New(list)
		if err != nil {
			tb.Fatal(err)
		}
		c := &RouteConfig{Host: host, Path: p}
		if err := all.add(&route{conf: c, label: c.label(), prefix: strings.TrimSuffix(p, "/"), rules: rules}); err != nil {
			tb.Fatal(err)
		}
	}
	return all.exact[host]
}

// What any chain of an upstream's parts would reach is never stricter than
// what was allowed: not for nobody, not for alice.
func TestNoReadingReachesMore(t *testing.T) {
	hr := testRoutes(t)
	rapid.Check(t, func(t *rapid.T) {
		p := drawPath(t)
		who := rapid.SampledFrom([]*access.Who{nil, {Name: "alice"}, {Name: "root", Groups: []string{"admins"}}}).Draw(t, "who")
		chain := rapid.SliceOfN(rapid.IntRange(0, len(naive)-1), 0, 5).Draw(t, "chain")
		allowed, ok := decide(hr, p, who)
		if !ok || allowed < access.Allow {
			return // nothing is forwarded
		}
		read, decoded := p, 0
		for _, i := range chain {
			if i == 0 || i == 5 { // our bound on how often somebody decodes
				if decoded++; decoded > maxDecodings {
					continue
				}
			}
			read = naive[i](read)
		}
		read = path.Clean("/" + read)
		f := access.Facts{Path: read, Method: "GET"}
		if v := hr.judge(f, who); v.decision < allowed {
			t.Errorf("%q is forwarded as %v, but %q is %v (chain %v)", p, allowed, read, v.decision, chain)
		}
		if strings.EqualFold(read, "/_gate") || strings.HasPrefix(strings.ToLower(read), "/_gate/") {
			t.Errorf("%q is forwarded, but may be read as %q (chain %v)", p, read, chain)
		}
	})
}

// decide goes the way of ServeHTTP.
func decide(hr *hostRoutes, p string, who *access.Who) (access.Decision, bool) {
	if !wellFormed(p) || ownPath(p) {
		return access.Deny, false
	}
	q, err := newQuestion(hr, p, access.Facts{Method: "GET"})
	if err != nil {
		return access.Deny, false
	}
	v, err := q.judge(nil)
	if err == nil && v.decision != access.Public && who != nil {
		v, err = q.judge(who)
	}
	return v.decision, err == nil
}

func FuzzExpand(f *testing.F) {
	for _, row := range readTSV(f, "paths.tsv") {
		f.Add(row[1])
	}
	hr := testRoutes(f)
	f.Fuzz(func(t *testing.T, p string) {
		if !wellFormed(p) {
			return
		}
		list, ok := expand(p)
		if !ok {
			return
		}
		if plainPath(p) && len(list) != 1 {
			t.Errorf("%q is plain, but has the readings %v", p, list)
		}
		for i, r := range list {
			if !strings.HasPrefix(r.path, "/") {
				t.Errorf("reading %q of %q is not absolute", r.path, p)
			}
			if r.from >= 0 && !r.cautious && hasDotSegments(r.path) {
				t.Errorf("reading %q of %q has dot segments", r.path, p)
			}
			_ = how(list, i)
		}
		d, ok := decide(hr, p, nil)
		if ok && d == access.Public {
			u, err := url.PathUnescape(p)
			if err != nil {
				t.Fatal(err)
			}
			if c := path.Clean(u); c != "/healthz" && c != "/public" && !strings.HasPrefix(c, "/public/") {
				t.Errorf("%q is public, but names %q", p, c)
			}
		}
	})
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{host, "[::1]:80", "a:evil", "a.", "A.B:443", "a/b", "a@b", "[::1%25x]", "a,b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHost(s, "https")
		if err != nil {
			return
		}
		again, err := parseHost(h.name, "https")
		if err != nil || again.name != h.name || again.port != "" {
			t.Errorf("%q gives %q, which gives %q, %v", s, h.name, again.name, err)
		}
		if u, err := url.Parse("https://" + s + "/"); err != nil || !strings.EqualFold(u.Host, s) || u.Path != "/" || u.User != nil {
			t.Errorf("%q is a host to us, but not to net/url: %v, %v", s, u, err)
		}
	})
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; "+ourCookie+"=x; c", "gatehouse=1")
	f.Fuzz(func(t *testing.T, one, two string) {
		c := cookies{names: []string{ourCookie, "gatehouse"}}
		out := c.without([]string{one, two})
		if c.mentions(out) {
			t.Errorf("%q and %q leave %q", one, two, out)
		}
	})
}

func BenchmarkPlainPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !plainPath("/wiki/some/page/with-a-name.html") {
			b.Fatal("not plain")
		}
	}
}

func BenchmarkExpand(b *testing.B) {
	for name, p := range map[string]string{"escape": "/wiki/A%20page", "jsessionid": "/app/page;jsessionid=0123456789", "nasty": "/public/..%5c%2e%2e;/x%00//y"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := expand(p); !ok {
					b.Fatal("too many")
				}
			}
		})
	}
}
