package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatehouse/access"
	"gatehouse/internal/e2e"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// asFormat drops the extension, which leads to another route's upstream by no
// server's doing: rules alone count.
const asFormat = "rails, with a format"

// models read a path as real servers do, written from their sources and tried
// against them, and apart from our own reader. Each returns the places that an
// application behind such a server may take the path for; none: it refuses.
var models = map[string]func(p string) []string{
	"go": func(p string) []string {
		u, err := url.ParseRequestURI(p)
		if err != nil {
			return nil
		}
		return []string{u.Path, path.Clean(u.Path), path.Clean(u.EscapedPath())}
	},
	"node": func(p string) []string {
		name := whatwg(p)
		decoded, _ := unescape(name, "")
		uri, _ := unescape(name, ";/?:@&=+$,#") // decodeURI
		plain, _ := unescape(p, "")
		list := []string{name, decoded, uri, path.Clean(decoded), path.Clean(plain), whatwg(plain), path.Clean(p)}
		if rest, ok := legacyURL(p); ok {
			decoded, _ := unescape(rest, "")
			list = append(list, rest, path.Clean(rest), path.Clean(decoded))
		}
		return list
	},
	"apache, no encoded slashes": func(p string) []string {
		for _, first := range apacheFirst(p) {
			if strings.Contains(strings.ToLower(first), "%2f") {
				return nil
			}
		}
		return apache(p, "")
	},
	"apache, encoded slashes on":      func(p string) []string { return apache(p, "") },
	"apache, encoded slashes as sent": func(p string) []string { return apache(p, "/") },
	"nginx": func(p string) []string {
		d, ok := unescape(p, "")
		if !ok {
			return nil
		}
		return resolved(merged(d))
	},
	"tomcat, slashes decoded": func(p string) []string { return tomcat(p, "") },
	"tomcat, slashes passed":  func(p string) []string { return tomcat(p, "/%") },
	"django": func(p string) []string {
		d, _ := unescape(p, "")
		d = repercent(d)
		one := "/" + strings.TrimLeft(d, "/")
		served, _ := unescape("/"+strings.TrimLeft(p, "/"), "") // by http.server
		list := []string{d, one, repercent(served), path.Clean(d), "/" + path.Clean(d), escaped(one)}
		for _, p := range []string{d, repercent(served)} {
			if rest, ok := behindHost(escaped(p)); ok { // urlsplit
				list = append(list, rest)
			}
		}
		return list
	},
	"rails": func(p string) []string {
		d, _ := unescape(p, "")
		rest, _ := unescape(merged(p), "") // of a route: *rest
		return []string{merged(p), rest, path.Clean(d)}
	},
	asFormat: func(p string) []string { // (.:format)
		raw := merged(p)
		if i := strings.LastIndexByte(raw, '.'); i > strings.LastIndexByte(raw, '/')+1 {
			return []string{raw[:i]}
		}
		return nil
	},
	"php": func(p string) []string {
		d, _ := unescape(p, "")
		list := append([]string{d}, clamped(merged(d)), clamped(merged(strings.ReplaceAll(d, `\`, "/"))))
		if rest, ok := behindHost(p); ok { // parse_url
			d, _ := unescape(rest, "")
			list = append(list, rest, d)
		}
		for _, l := range list {
			if _, info, ok := strings.Cut(l, "/index.php/"); ok {
				list = append(list, "/"+info)
			}
		}
		return list
	},
	"without accents": func(p string) []string { // WordPress, collations
		d, _ := unescape(p, "")
		bare := strings.Map(func(r rune) rune {
			if unicode.In(r, unicode.Mn, unicode.Cf) {
				return -1
			}
			return r
		}, norm.NFKD.String(d))
		return []string{bare, merged(bare), clamped(merged(bare))}
	},
	"windows, in a code page": func(p string) []string {
		d, _ := unescape(p, "")
		return []string{clamped(merged(strings.NewReplacer("\u00a5", "/", "\u20a9", "/", "\u2044", "/", "\u2215", "/", `\`, "/", "\uff0f", "/", "\uff0e", ".", "\u00a0", "").Replace(d)))}
	},
	"iis": func(p string) []string {
		d, ok := unescape(p, "")
		if !ok {
			return nil
		}
		var names []string
		for name := range strings.SplitSeq(strings.ReplaceAll(d, `\`, "/"), "/") {
			name, _, _ = strings.Cut(name, "::$")
			if short := strings.TrimRight(name, ". "); short != "" {
				name = short
			}
			names = append(names, name)
		}
		return resolved(merged(strings.Join(names, "/")))
	},
}

// unescape decodes once, but for the escapes of keep. ok is false for a NUL,
// which most servers refuse.
func unescape(p, keep string) (s string, ok bool) {
	var b strings.Builder
	ok = true
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) {
			if c := urlpath.Unhex(p[i+1])<<4 | urlpath.Unhex(p[i+2]); c >= 0 && strings.IndexByte(keep, byte(c)) < 0 { //nolint:gosec // G115: two digits
				b.WriteByte(byte(c)) //nolint:gosec // G115: two digits
				ok = ok && c != 0
				i += 2
				continue
			}
		}
		b.WriteByte(p[i])
	}
	return b.String(), ok
}

func merged(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}

// resolved resolves dot segments; none where they lead above the root.
func resolved(p string) []string {
	var stack []string
	names := strings.Split(p, "/")
	for i, name := range names[1:] {
		switch name {
		case ".", "..":
			if name == ".." {
				if len(stack) == 0 {
					return nil
				}
				stack = stack[:len(stack)-1]
			}
			if i == len(names)-2 {
				stack = append(stack, "")
			}
		default:
			stack = append(stack, name)
		}
	}
	return []string{"/" + strings.Join(stack, "/")}
}

// behindHost returns the path of a URL without a scheme.
func behindHost(p string) (rest string, ok bool) {
	p, ok = strings.CutPrefix(p, "//")
	i := strings.IndexByte(p, '/')
	if !ok || i < 0 {
		return "", false
	}
	return p[i:], true
}

// clamped resolves dot segments as those do who stay at the root.
func clamped(p string) string {
	above := keptAbove(p)
	for above == "/.." || strings.HasPrefix(above, "/../") {
		above = above[3:]
	}
	return "/" + strings.TrimPrefix(above, "/")
}

// keptAbove resolves dot segments as those do who keep what leads above the root.
func keptAbove(p string) string {
	var names []string
	last := ""
	for name := range strings.SplitSeq(p[1:], "/") {
		last = name
		switch {
		case name == ".":
		case name == ".." && len(names) > 0 && names[len(names)-1] != "..":
			names = names[:len(names)-1]
		default:
			names = append(names, name)
		}
	}
	if n := len(names); n > 0 && (last == "." || last == "..") && names[n-1] != ".." {
		names = append(names, "")
	}
	return "/" + strings.Join(names, "/")
}

// escaped is Django's escape_uri_path.
func escaped(p string) string {
	var b strings.Builder
	for i := range len(p) {
		if c := p[i]; httpfield.IsAlphanumeric(c) || strings.IndexByte("/:@&+$,-_.!~*'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// repercent is Django's repercent_broken_unicode.
func repercent(p string) string {
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRuneInString(p)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", p[0])
		} else {
			b.WriteString(p[:n])
		}
		p = p[n:]
	}
	return b.String()
}

// apacheFirst is ap_normalize_path with AP_NORMALIZE_DECODE_UNRESERVED.
func apacheFirst(p string) []string {
	var reserved []byte
	for c := range 256 {
		if !httpfield.IsAlphanumeric(byte(c)) && !strings.ContainsRune("-._~", rune(c)) {
			reserved = append(reserved, byte(c))
		}
	}
	first, _ := unescape(p, string(reserved))
	return resolved(merged(first))
}

// apache is apacheFirst, and then ap_unescape_url.
func apache(p, keep string) []string {
	var list []string
	for _, r := range apacheFirst(p) {
		d, ok := unescape(r, keep)
		if !ok {
			return nil
		}
		list = append(list, d, merged(d), clamped(merged(d)))
	}
	return list
}

// tomcat cuts parameters, decodes, and normalizes, in this order.
func tomcat(p, keep string) []string {
	var names []string
	for name := range strings.SplitSeq(p, "/") {
		name, _, _ = strings.Cut(name, ";")
		names = append(names, name)
	}
	d, ok := unescape(strings.Join(names, "/"), keep)
	if !ok {
		return nil
	}
	list := append(resolved(merged(d)), resolved(merged(strings.ReplaceAll(d, `\`, "/")))...)
	all, _ := unescape(strings.Join(names, "/"), "") // what libraries make of the raw path
	list = append(list, merged(all))
	for _, part := range []func(string) (string, bool){behindHost, func(p string) (string, bool) { return p, true }} {
		if rest, ok := part(p); ok { // java.net.URI
			clean, _ := unescape(clamped(merged(rest)), "")
			above, _ := unescape(keptAbove(merged(rest)), "")
			list = append(list, clean, above)
		}
	}
	return list
}

// whatwg is pathname of new URL(p, "http://host"): a host is read behind any
// number of slashes, and dots count in either spelling, but nothing is decoded.
func whatwg(p string) string {
	p = strings.TrimRightFunc(p, func(r rune) bool { return r <= ' ' })
	p = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, p)
	p, _, _ = strings.Cut(p, "?")
	p, _, _ = strings.Cut(p, "#")
	p = strings.ReplaceAll(p, `\`, "/")
	if strings.HasPrefix(p, "//") {
		p = strings.TrimLeft(p, "/")
		if i := strings.IndexByte(p, '/'); i >= 0 {
			p = p[i:]
		} else {
			p = "/"
		}
	}
	var stack []string
	names := strings.Split(p, "/")
	for i, name := range names[1:] {
		dots := strings.ReplaceAll(strings.ToLower(name), "%2e", ".")
		if dots != "." && dots != ".." {
			stack = append(stack, name)
			continue
		}
		if dots == ".." && len(stack) > 0 {
			stack = stack[:len(stack)-1]
		}
		if i == len(names)-2 {
			stack = append(stack, "")
		}
	}
	return "/" + strings.Join(stack, "/")
}

// legacyURL is pathname of Node's url.parse(p), which takes //user@host for a
// host, and ends it at whatever cannot stand in one.
func legacyURL(p string) (pathname string, ok bool) {
	rest, ok := strings.CutPrefix(p, "//")
	name, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(name, '@')
	if user, _, _ := strings.Cut(name, "@"); !ok || user == "" || at < 0 || at == len(name)-1 {
		return "", false
	}
	host, rest := rest[at+1:], ""
	if i := strings.IndexAny(host, "/\t\n\r \"%';<>\\^`{|}"); i >= 0 {
		host, rest = host[:i], host[i:]
	}
	if port := strings.LastIndexByte(host, ':'); port >= 0 && strings.Trim(host[port+1:], "0123456789") == "" {
		host = host[:port]
	}
	if i := strings.IndexFunc(host, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-+_", r)
	}); i >= 0 {
		rest = host[i:] + rest
	}
	return "/" + rest, true
}

// odd are what the paths of these tests are made of, besides places.
var odd = []string{
	"/", "/", "/", "//", "///", "x", "y", "..", "..", ".", "/../", "/..", "%2e%2e", "%2e%2e", "%2E.", ".%2e", "%2e", "%2f", "%2F", "%2f", "%5c", "%5C", ";", "%3b", ";a=b", "..;", "%2e%2e;",
	"%252e%252e", "%252f", "%255c", "%00", "%0d", "%20", "%09", "%23", "%3f", "%c0%af", "%c0%ae", "%ef%bc%8f", "%ef%bc%8e", "%e2%80%a5", ".json", "index.php", "::$DATA", "@", ":",
	"//x@y", "%c2%a0", "%e1%9a%80", "%c2%ad", "%e2%80%8b", "%cc%81", "%c3%a1", "%c2%a5", "%e2%81%84", "%ff", "%a0",
}

var placesOfTests = []string{"static", "admin", "Admin", "adm%69n", "%61dmin", "closed", "other", "_gate", "%5fgate", "deep", "er"}

// madeOf makes a path of choices.
func madeOf(choices []byte) string {
	var b strings.Builder
	b.WriteByte('/')
	for i, c := range choices[:min(len(choices), 16)] {
		if n := int(c) % (len(odd) + 3*len(placesOfTests)); n < len(odd) {
			b.WriteString(odd[n])
		} else {
			b.WriteString([]string{"/", "", "/"}[i%3] + placesOfTests[n%len(placesOfTests)])
		}
	}
	return b.String()
}

// ruled are rules and routes of every kind.
func ruled(tb testing.TB) *hostRoutes {
	tb.Helper()
	var all routeTable
	for _, c := range []RouteConfig{
		{Host: host, Path: "/", Access: []access.RuleConfig{
			{Path: "/static", Public: true},
			{Path: "/closed", Deny: true},
			{Path: "/deep/er", Groups: []string{"admins"}},
			{Path: "/admin", Groups: []string{"admins"}},
			{},
		}},
		{Host: host, Path: "/other", Access: []access.RuleConfig{{Users: []string{"bob"}}}},
	} {
		rules, err := access.New(c.Access)
		if err != nil {
			tb.Fatal(err)
		}
		if err := all.add(&route{conf: &c, label: c.label(), prefix: strings.TrimSuffix(c.Path, "/"), rules: rules}); err != nil {
			tb.Fatal(err)
		}
	}
	return all.exact[host]
}

var whoAsks = []*access.Who{nil, {Name: "alice"}, {Name: "bob"}, {Name: "root", Groups: []string{"admins"}}}

// tooFar returns what a server takes a path for that passes although who may
// not see it; "": nothing.
func tooFar(hr *hostRoutes, p string, readings map[string][]string) string {
	if !urlpath.WellFormed(p) || ownPath(p) {
		return ""
	}
	q, err := newDecisionInput(hr, p, access.Facts{Method: "GET"})
	if err != nil {
		return ""
	}
	nobody, err := q.decide(nil)
	if err != nil {
		return ""
	}
	for _, who := range whoAsks {
		allowed := nobody
		if who != nil && nobody.Outcome != access.Public {
			allowed, err = q.decide(who)
		}
		if err != nil || allowed.Outcome < access.Allow {
			continue
		}
		for server, list := range readings {
			for _, read := range list {
				v := hr.decide(access.Facts{Path: read, Method: "GET"}, who)
				if v.Outcome < allowed.Outcome || server != asFormat && (v.route != allowed.route || ownPath(read)) {
					return fmt.Sprintf("%q passes as %v for %+v, but is %q (%v) to %s", p, allowed.Outcome, who, read, v.Outcome, server)
				}
			}
		}
	}
	return ""
}

func readByModels(p string) map[string][]string {
	list := map[string][]string{}
	for server, read := range models {
		list[server] = read(p)
	}
	return list
}

// What passes is no ruled place to any server.
func TestNoServerReadsARuledPlace(t *testing.T) {
	t.Parallel()
	hr := ruled(t)
	attacks := []string{
		"/static/x%2fy/%2e%2e/%2e%2e/admin/", "/x%2fy/%2e%2e/admin/", "/x%2Fy/%2e./admin/", "/x%3by%2fz/%2e%2e/admin/", "/x%2fy/%2e%2e;/admin/", "///x/admin/",
		"////x/admin/", "/..//x/admin/", "/static/x%5cy/%2e%2e/%2e%2e/admin/", "/static/x%2fy%2fz/%2e%2e/%2e%2e/closed", "/deep/x%2fy/%2e%2e/er/", "/index.php/admin", "/admin.json",
		"/x%2fy/%2e%2e/other/", "/x%2fy/%2e%2e/_gate/logout", "/static/x%2fy/%2e%2e/%2e%2e/private",
	}
	for _, p := range attacks {
		for _, who := range []*access.Who{nil, {Name: "alice"}} {
			if d, ok := decide(hr, p, who); ok && d >= access.Allow {
				t.Errorf("%s passes for %+v as %v", p, who, d)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same paths at each run
	choices := make([]byte, 12)
	passed := 0
	for range 1500 {
		for i := range choices {
			choices[i] = byte(r.IntN(256)) //nolint:gosec // G115: a byte
		}
		p := madeOf(choices[:2+r.IntN(10)])
		if bad := tooFar(hr, p, readByModels(p)); bad != "" {
			t.Error(bad)
		}
		if d, ok := decide(hr, p, &access.Who{Name: "root", Groups: []string{"admins"}}); ok && d >= access.Allow {
			passed++
		}
	}
	if passed < 100 {
		t.Errorf("only %d paths passed at all: that shows nothing", passed)
	}
}

func FuzzServers(f *testing.F) {
	for _, seed := range [][]byte{{1, 2, 3}, {5, 17, 6, 0, 11, 2, 60}, {5, 20, 5, 3, 11, 3, 11, 3, 60}} {
		f.Add(seed)
	}
	hr := ruled(f)
	f.Fuzz(func(t *testing.T, choices []byte) {
		p := madeOf(choices)
		if bad := tooFar(hr, p, readByModels(p)); bad != "" {
			t.Error(bad)
		}
	})
}

// Odd paths that lead nowhere but where they say go on passing.
func TestHarmlessOddPathsPass(t *testing.T) {
	hr := ruled(t)
	alice := &access.Who{Name: "alice"}
	for _, p := range []string{
		"/x/a%2Fb", "/@scope%2fname", "/x;jsessionid=1", "/x/%C3%BCber", "/wiki/My%20Page", "/x%20y/admin", "/wiki/%C3%BCber/admin/x", "/projects/group%2Fadministrators/issues", "/x;v=1/close", "/x/deep%2Fadministrator",
		"/a//b", "/proxy/https://example.com/x/", "/proxy/https%3A%2F%2Fexample.com%2Fx%3Fa%23b", "/index.php/x", "/wiki/a.b.", "/c%2B%2B", "/100%25", "/what%3F", "/C%23/x",
		"/x/%E4%BD%A0%E5%A5%BD/", "/x%3Ay", "/a%26b", "/files/a%5Cb", "/x/../y", "/saml/%7B%22a%22%3A%22b%2Fc%22%7D",
	} {
		if d, ok := decide(hr, p, alice); !ok || d != access.Allow {
			t.Errorf("%s: %v, %v for alice", p, d, ok)
		}
	}
	for _, p := range []string{"/static/a%2Fb.css", "/static/%C3%BCber.css", "/static/a;v=1", "/static/x/../y", "/static//x", "/static/a%20b", "/static/index.php/x"} {
		if d, ok := decide(hr, p, nil); !ok || d != access.Public {
			t.Errorf("%s: %v, %v for nobody", p, d, ok)
		}
	}
}

// Whatever a reader drops of the front of a path that is odd, for reasons that
// nobody has thought of, it must not end at a place that a rule names.
func TestEverySuffixOfAnOddPathIsJudged(t *testing.T) {
	hr := ruled(t)
	alice, root := &access.Who{Name: "alice"}, &access.Who{Name: "root", Groups: []string{"admins"}}
	for _, p := range []string{
		"/x%2fy/admin", "/x%2fadmin/", "/group%2Fadmin/issues", "/x;v=1/admin", "/a//admin", "/a%5cadmin", "/x%2e/admin", "/x%25/admin", "/x%3f/admin", "/x%23/admin/y",
		"/proxy/https://example.com/admin/", "/proxy/https%3A%2F%2Fexample.com%2Fadmin%3Fa%23b", "/x%ef%bc%8fadmin", "/x%c0%afadmin", "/x%ff/admin", "/x;a/deep/er/y",
	} {
		if d, ok := decide(hr, p, alice); ok && d >= access.Allow {
			t.Errorf("%s: %v for alice", p, d)
		}
		if d, ok := decide(hr, p, root); !ok || d != access.Allow {
			t.Errorf("%s: %v, %v for root, who may go to /admin", p, d, ok)
		}
	}
	for _, p := range []string{"/x;v=1/closed", "/x%2f_gate/login", "/x//other"} {
		if d, ok := decide(hr, p, root); ok && d >= access.Allow {
			t.Errorf("%s: %v for root", p, d)
		}
	}
	for _, p := range []string{"/static/a%2Fadmin", "/static/x//admin"} {
		if d, ok := decide(hr, p, nil); ok && d >= access.Allow {
			t.Errorf("%s: %v for nobody", p, d)
		}
	}
}

// A ruled place is found by those who see no marks on letters, who read bytes in
// a code page, or who end a host that is none within its name.
func TestARuledPlaceInOtherLettersIsRefused(t *testing.T) {
	hr := ruled(t)
	alice := &access.Who{Name: "alice"}
	for _, p := range []string{
		"//u@h%61dmin", "//x%2fy@h%61dmin/", "//h%61dmin", "//u@h:80admin", "/..//u@h%61dmin/x", "/%2fu@h%61dmin", // url.parse of Node
		"/%C3%A1dmin", "/a%CC%81dmin", "/%C4%81dmin", "/x%2fy/%C3%A1dmin", "/x%2fy/%2e%2e/%C3%A1dmin", "/%C3%A1dmin/%C3%BCber", // marks
		"/admin%E1%9A%80", "/admin%C2%A0", "/admin%E3%80%80", "/admin\xa0", "/admin%A0", "/admin%C2%85", "/admin%EF%BB%BF", // spaces
		"/ad%C2%ADmin", "/ad%E2%80%8Bmin", "/ad%CD%8Fmin", "/ad%FFmin", // not seen
		"/x/..%C2%A5admin", "/x/..%E2%82%A9admin", "/x%C2%A5admin", "/x/..%E2%88%96admin", "/x%E2%81%84admin", "/x/..%EF%BC%8Fadmin", // slashes of code pages
		"/x/.%E2%80%8B./admin", "/x/y/%EF%BC%8E%E2%80%8B%EF%BC%8E/%2e%2e/admin", "/deep/x%2fy/.%E2%80%8B./er", "/deep/x/.%C2%AD./er", "/deep/x/%2e%CC%81%2e/er", // dots
	} {
		if d, ok := decide(hr, p, alice); ok && d >= access.Allow {
			t.Errorf("%s: %v for alice", p, d)
		}
	}
	for _, p := range []string{"/\u00fcber/admin", "/%C3%BCber", "/x/a%CC%88", "/caf%C3%A9/administrator", "/%D9%85%DB%8C%E2%80%8C%D8%AE", "/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80", "/price/%C2%A5100", "//bob@example.com/x", "//phpmyadmin/x"} {
		if d, ok := decide(hr, p, alice); !ok || d != access.Allow {
			t.Errorf("%s: %v, %v for alice", p, d, ok)
		}
	}
}

// What a hostile path costs is bounded, and so is what is judged of it.
func TestHostilePathsCostLittle(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hr := ruled(t)
	for _, p := range []string{
		strings.Repeat("/", 60<<10), "/.." + strings.Repeat("//", 30<<10), strings.Repeat("/admin", 10<<10) + "/%2e%2e", "/x" + strings.Repeat("%2f", 20<<10), strings.Repeat("/%2e%2e", 8<<10),
		strings.Repeat("/x%2fy/..", 6<<10), "/..//" + strings.Repeat("Admin/", 500), "/" + strings.Repeat("%25", 20<<10), "/" + strings.Repeat("%C0%AE", 10<<10),
		strings.Repeat("/a%2f", 170) + strings.Repeat("/..", 170), "/%00" + strings.Repeat("/İ", 500) + strings.Repeat("x", 50<<10), "/" + strings.Repeat("%ef%bc%85", 6<<10) + "2f",
		"//" + strings.Repeat("%2fx@h", 400) + strings.Repeat("/x", 20<<10), "//u@" + strings.Repeat("h", 30<<10) + "%61dmin", "/" + strings.Repeat("a%CC%81", 8<<10),
	} {
		begin := e2e.ThreadCPU(t)
		decide(hr, p, &access.Who{Name: "root", Groups: []string{"admins"}})
		cost := e2e.ThreadCPU(t) - begin
		if cost > time.Second { // what grows with the square takes minutes
			t.Errorf("%.20q... of %d bytes takes %v of CPU time", p, len(p), cost)
		}
	}
}
