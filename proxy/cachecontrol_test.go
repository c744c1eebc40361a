package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/sessions"
)

// A shared cache in front of the gate gave one visitor's page to a stranger,
// and to everybody after she had signed out, because the application called
// the page public.
func TestAnswersBehindALoginStayOutOfSharedCaches(t *testing.T) {
	for _, tt := range []struct {
		lines []string // what the application sends
		want  string
	}{
		{nil, "private, no-cache"},
		{[]string{"public, max-age=600"}, "private, max-age=600"},
		{[]string{"PUBLIC ,Max-Age=600"}, "private, Max-Age=600"},
		{[]string{"s-maxage=600"}, "private"},
		{[]string{"max-age=60, S-MaxAge=600"}, "private, max-age=60"},
		{[]string{"max-age=60"}, "private, max-age=60"},
		{[]string{"public", "max-age=60", "s-maxage=9"}, "private, max-age=60"},
		{[]string{"private, public"}, "private"},
		{[]string{`private="Set-Cookie", max-age=60`}, "private, max-age=60"},
		{[]string{`no-cache="Set-Cookie"`}, `private, no-cache, no-cache="Set-Cookie"`},
		{[]string{"no-cache"}, "private, no-cache"},
		{[]string{"no-transform"}, "private, no-cache, no-transform"},
		{[]string{"must-revalidate"}, "private, no-cache, must-revalidate"},
		{[]string{"immutable, stale-while-revalidate=60"}, "private, no-cache, immutable, stale-while-revalidate=60"},
		{[]string{""}, "private, no-cache"},
		{[]string{" , ,"}, "private, no-cache"},
		{[]string{"x-mine=1"}, "private, no-cache, x-mine=1"},
		{[]string{`x-mine="a, public", max-age=60`}, `private, x-mine="a, public", max-age=60`},
		{[]string{`x-mine="a\", public", private`}, `x-mine="a\", public", private`},
		{[]string{`x-mine="private`}, "private, no-cache"},
		{[]string{"public max-age=600"}, "private, no-cache"},
		{[]string{"no-store max-age=0"}, "no-store"},
		{[]string{"max-age=soon"}, "private, no-cache, max-age=soon"},
		{[]string{"private"}, "private"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"public, no-store"}, "no-store"},
		{[]string{"max-age=0,  private,must-revalidate"}, "max-age=0,  private,must-revalidate"},
	} {
		h := http.Header{}
		if tt.lines != nil {
			h["Cache-Control"] = slices.Clone(tt.lines)
		}
		if keepPrivate(h); strings.Join(h["Cache-Control"], " | ") != tt.want {
			t.Errorf("%q became %q, want %q", tt.lines, h["Cache-Control"], tt.want)
		}
	}
}

// Other fields are no policy for one visitor, and those that speak to shared
// caches alone would count in place of ours.
func TestOtherCacheFields(t *testing.T) {
	for _, tt := range []struct{ fields, want string }{
		{"Pragma: x\r\n", "private, no-cache"},
		{"Pragma: no-cache\r\n", "private, no-cache"},
		{"Expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n", "private"},
		{"CDN-Cache-Control: max-age=600\r\nCloudflare-CDN-Cache-Control: max-age=600\r\n", "private, no-cache"},
		{"Surrogate-Control: max-age=600\r\nSurrogate-Key: a\r\n", "private, no-cache"},
		{"X-Accel-Expires: 600\r\nEdge-Control: max-age=600\r\nX-LiteSpeed-Cache-Control: public\r\n", "private, no-cache"},
	} {
		for _, status := range []string{"200 OK", "304 Not Modified", "404 Not Found", "500 Internal Server Error"} {
			up := record(t, "HTTP/1.1 "+status+"\r\n"+tt.fields+"Connection: close\r\n\r\n")
			h := open(t, setting{}, fixture(up.url()))
			res, _, err := h.exchange(t, "GET /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"\r\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Header["Cache-Control"]; !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s with %q: Cache-Control %q, want %q", status, tt.fields, got, tt.want)
			}
			for _, name := range []string{"Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "Edge-Control", "X-Litespeed-Cache-Control"} {
				if got := res.Header[name]; got != nil {
					t.Errorf("%s with %q: %s %q passed", status, tt.fields, name, got)
				}
			}
		}
	}
}

func TestAuthenticatedCache(t *testing.T) {
	const app = "Cache-Control: public, max-age=600\r\nCDN-Cache-Control: max-age=600\r\n"
	for _, tt := range []struct{ policy, path, want, cdn string }{
		{"", "/x", "private, max-age=600", ""},
		{privateCache, "/x", "private, max-age=600", ""},
		{noStoreCache, "/x", "no-store", ""},
		{keepCache, "/x", "public, max-age=600", "max-age=600"},
		{noStoreCache, "/public/x", "public, max-age=600", "max-age=600"},
	} {
		header := answered(t, setting{}, func(c *RouteConfig) { c.AuthenticatedCache = tt.policy }, tt.path, app)
		if got, cdn := header.Get("Cache-Control"), header.Get("Cdn-Cache-Control"); got != tt.want || cdn != tt.cdn {
			t.Errorf("%q: %s has Cache-Control %q and CDN-Cache-Control %q, want %q and %q", tt.policy, tt.path, got, cdn, tt.want, tt.cdn)
		}
	}
}

// A cookie of ours in a shared cache is everybody's.
func TestCookiesOfOursStayOutOfSharedCaches(t *testing.T) {
	const app = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\nSurrogate-Control: max-age=600\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
	one, two := record(t, app), record(t, app)
	sticky := fixture("")
	sticky.Upstreams, sticky.Sticky, sticky.AuthenticatedCache = []string{one.url(), two.url()}, "app_upstream", keepCache
	old := &gate{identify: func(*http.Request) (*auth.Identity, error) {
		return &auth.Identity{Name: "alice", Session: sessions.Info{Key: "k", StaleSignature: true}}, nil
	}}
	keeps := fixture(one.url())
	keeps.AuthenticatedCache = keepCache
	for name, tt := range map[string]struct {
		route RouteConfig
		path  string
	}{
		"sticky, public":  {sticky, "/public/x"},
		"sticky, private": {sticky, "/x"},
		"signed anew":     {keeps, "/x"},
	} {
		h := open(t, setting{gate: old}, tt.route)
		res, _, err := h.exchange(t, "GET "+tt.path+" HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"\r\n")
		if err != nil || len(res.Header["Set-Cookie"]) == 0 {
			t.Fatalf("%s: %v, %v: no cookie", name, res, err)
		}
		if got := res.Header.Get("Cache-Control"); got != "private, max-age=600" || res.Header.Get("Surrogate-Control") != "" {
			t.Errorf("%s: Cache-Control %q with %q", name, got, res.Header["Set-Cookie"])
		}
	}
}

// Whatever an application sends, a reader by RFC 9111 finds that it is for one
// visitor; what it said for private caches stays.
func FuzzCacheControl(f *testing.F) {
	for _, line := range []string{"public, max-age=600", `private="a, b"`, `x="\"`, "a=b=c", ",,no-store", "no-cache\tpublic", "S-MAXAGE=1"} {
		f.Add(line, "", false)
		f.Add("max-age=1", line, true)
	}
	f.Fuzz(func(t *testing.T, one, two string, expires bool) {
		if !httpfield.IsOneLine(one + two) {
			return
		}
		h := http.Header{"Cache-Control": {one, two}}
		if expires {
			h["Expires"] = []string{"0"}
		}
		keepPrivate(h)
		got := readCacheControl(h["Cache-Control"])
		if !got.closed || got.opened || got.unusable {
			t.Errorf("%q, %q became %q", one, two, h["Cache-Control"])
		}
		before := slices.Clone(h["Cache-Control"])
		if keepPrivate(h); !slices.Equal(h["Cache-Control"], before) {
			t.Errorf("%q became %q the second time", before, h["Cache-Control"])
		}
		said := readCacheControl([]string{one, two})
		for _, directive := range said.kept {
			if !said.unusable && !slices.Contains(got.kept, directive) {
				t.Errorf("%q, %q became %q: %q is lost", one, two, before, directive)
			}
		}
		if said.noStore && !got.noStore {
			t.Errorf("%q, %q became %q: no-store is lost", one, two, before)
		}
	})
}
