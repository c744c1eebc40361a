package proxy

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"gatehouse/access"
	"gatehouse/internal/urlpath"
)

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
	var all routeTable
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
				if decoded++; decoded > 3 {
					continue
				}
			}
			read = naive[i](read)
		}
		read = path.Clean("/" + read)
		f := access.Facts{Path: read, Method: "GET"}
		if v := hr.decide(f, who); v.Outcome < allowed {
			t.Errorf("%q is forwarded as %v, but %q is %v (chain %v)", p, allowed, read, v.Outcome, chain)
		}
		if strings.EqualFold(read, "/_gate") || strings.HasPrefix(strings.ToLower(read), "/_gate/") {
			t.Errorf("%q is forwarded, but may be read as %q (chain %v)", p, read, chain)
		}
	})
}

func newDecisionInput(hr *hostRoutes, path string, f access.Facts) (*decisionInput, error) {
	q := new(decisionInput)
	return q, q.read(hr, &target{path: path}, f)
}

// decide goes the way of ServeHTTP.
func decide(hr *hostRoutes, p string, who *access.Who) (access.Decision, bool) {
	if !urlpath.WellFormed(p) || ownPath(p) {
		return access.Deny, false
	}
	q, err := newDecisionInput(hr, p, access.Facts{Method: "GET"})
	if err != nil {
		return access.Deny, false
	}
	v, err := q.decide(nil)
	if err == nil && v.Outcome != access.Public && who != nil {
		v, err = q.decide(who)
	}
	return v.Outcome, err == nil
}

func FuzzDecision(f *testing.F) {
	for _, row := range readTSV(f, "paths.tsv") {
		f.Add(row[1])
	}
	hr := testRoutes(f)
	f.Fuzz(func(t *testing.T, p string) {
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
