package proxy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
)

func TestCookiesAreTranslated(t *testing.T) {
	s := exchangeOf(t, legacy("http://app1.wiki.internal:3000"), "https", "app.example.test")
	for line, want := range map[string]string{
		"a=b":                                          "a=b",
		"a=b; Path=/":                                  "a=b; Path=/app",
		"a=b; path = / ; HttpOnly":                     "a=b; path = /app ; HttpOnly",
		"a=b;Path=/x;Max-Age=5":                        "a=b;Path=/app/x;Max-Age=5",
		"a=b; Path=//":                                 "a=b; Path=/app//",
		"a=b; Path=/x; Path=/y":                        "a=b; Path=/app/x; Path=/app/y",
		"a=b; Path":                                    "a=b; Path",
		"a=b; Path=":                                   "a=b; Path=",
		"a=b; Path=x":                                  "a=b; Path=x",
		`a=b; Path="/x"`:                               `a=b; Path="/x"`,
		"__Host-a=b; Secure; Path=/":                   "__Host-a=b; Secure; Path=/",
		"__host-a=b; Secure; Path=/":                   "__host-a=b; Secure; Path=/",
		"__Secure-a=b; Secure; Path=/":                 "__Secure-a=b; Secure; Path=/app",
		"a=b; Domain=wiki.internal":                    "a=b",
		"a=b; Domain=.Wiki.Internal; Path=/":           "a=b; Path=/app",
		"a=b;domain=app1.wiki.internal;Secure":         "a=b;Secure",
		"a=b; Domain=internal":                         "a=b",
		"a=b; Domain=iki.internal":                     "a=b; Domain=iki.internal",
		"a=b; Domain=other.internal":                   "a=b; Domain=other.internal",
		"a=b; Domain=x.app1.wiki.internal":             "a=b; Domain=x.app1.wiki.internal",
		"a=b; Domain=example.test":                     "a=b; Domain=example.test", // the visitor's: he takes it
		"a=b; Domain=":                                 "a=b; Domain=",
		"a=b; Domain":                                  "a=b; Domain",
		"a=b; Domain=evil; Domain=wiki.internal":       "a=b; Domain=evil; Domain=wiki.internal",
		"a=b; Domain=wiki.internal; Domain=.internal;": "a=b;",
		"a=Domain=wiki.internal":                       "a=Domain=wiki.internal",
		"Domain=wiki.internal":                         "Domain=wiki.internal", // a cookie of that name
		"Path=/":                                       "Path=/",
		"":                                             "",
		";":                                            ";",
		"a=ü\xff; Path=/":                              "a=ü\xff; Path=/app",
	} {
		if got := s.cookiePlace().rewrite(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}

	c := legacy("http://10.1.2.3:3000")
	c.Path, c.StripPrefix, c.HostHeader = "/", false, upstreamHost
	s = exchangeOf(t, c, "https", "app.example.test")
	for line, want := range map[string]string{
		"a=b; Domain=10.1.2.3; Path=/": "a=b; Path=/",
		"a=b; Domain=2.3":              "a=b; Domain=2.3", // nothing lies below a part of an address
	} {
		if got := s.cookiePlace().rewrite(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

func TestCookiesAreHardened(t *testing.T) {
	all := CookieConfig{Secure: true, HTTPOnly: true, Except: []string{"csrftoken"}, SameSite: "lax"}
	for _, tt := range []struct {
		conf       CookieConfig
		https      bool
		line, want string
	}{
		{CookieConfig{}, true, "a=b", "a=b"},
		{all, true, "a=b", "a=b; Secure; HttpOnly; SameSite=Lax"},
		{all, false, "a=b", "a=b; HttpOnly; SameSite=Lax"},
		{all, true, "csrftoken=b; Path=/", "csrftoken=b; Path=/; Secure; SameSite=Lax"},
		{all, true, "CSRFToken=b", "CSRFToken=b; Secure; HttpOnly; SameSite=Lax"},
		{all, true, "a=b;secure;HTTPONLY ; samesite=None", "a=b;secure;HTTPONLY ; samesite=None"},
		{all, true, "a=b; Secure=yes; SameSite", "a=b; Secure=yes; SameSite; HttpOnly"},
		{all, true, "a=Secure; xSecure; HttpOnly2", "a=Secure; xSecure; HttpOnly2; Secure; HttpOnly; SameSite=Lax"},
		{all, true, "HttpOnly", "HttpOnly; Secure; HttpOnly; SameSite=Lax"}, // a cookie of that name
		{all, true, "a=b;", "a=b;; Secure; HttpOnly; SameSite=Lax"},
		{all, true, "", ""},
		{all, true, " ; Path=/", " ; Path=/"},
		{CookieConfig{SameSite: "strict"}, false, "a=b", "a=b; SameSite=Strict"},
		{CookieConfig{SameSite: "none", Secure: true}, true, "a=b", "a=b; Secure; SameSite=None"},
		{CookieConfig{SameSite: "none", Secure: true}, false, "a=b", "a=b"},
		{CookieConfig{SameSite: "none", Secure: true}, false, "a=b; Secure", "a=b; Secure; SameSite=None"},
	} {
		if got := tt.conf.harden(tt.line, tt.https); got != tt.want {
			t.Errorf("%+v, https %v: %q becomes %q, want %q", tt.conf, tt.https, tt.line, got, tt.want)
		}
	}
}

// The whole way: in the order in which they came, ours still kept out, and
// nothing changed without being asked.
func TestSetCookieOptions(t *testing.T) {
	const lines = "Set-Cookie: a=1; Domain=wiki.internal; Path=/\r\nSet-Cookie: " + ourCookie + "=evil; Domain=wiki.internal\r\nset-cookie: csrftoken=2 ; PATH=/x;\r\n"
	up := record(t, "HTTP/1.1 200 OK\r\n"+lines+"Content-Length: 0\r\nConnection: close\r\n\r\n")
	engines(t, func(t *testing.T, s setting) {
		ask := func(c RouteConfig) []string {
			var list []string
			for line := range strings.Lines(open(t, s, c).get(t, "/app/x", aliceLine)) {
				if v, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "Set-Cookie: "); ok {
					list = append(list, v)
				}
			}
			return list
		}
		c := legacy(up.url())
		c.Cookies = CookieConfig{HTTPOnly: true, Except: []string{"csrftoken"}, SameSite: "strict"}
		if got, want := ask(c), []string{"a=1; Path=/app; HttpOnly; SameSite=Strict", "csrftoken=2 ; PATH=/app/x;; SameSite=Strict"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		c.Cookies, c.Rewrite = CookieConfig{}, RewriteConfig{}
		if got, want := ask(c), []string{"a=1; Domain=wiki.internal; Path=/", "csrftoken=2 ; PATH=/x;"}; !slices.Equal(got, want) {
			t.Errorf("off: got %q, want %q", got, want)
		}
	})
}

// Whatever a line holds, all but what was asked for stays as it is, in order.
func FuzzSetCookie(f *testing.F) {
	for _, line := range []string{
		"a=b; Path=/; Domain=wiki.internal; Secure", "a=b;;;", "=; Path", "__Host-a=b; Path=/", "a=b; Domain=.internal; Domain=x", "a; PATH =/x ; httponly",
	} {
		f.Add(line, true)
	}
	s := exchangeOf(f, legacy("http://127.0.0.1:3000"), "https", "app.example.test")
	p := s.cookiePlace()
	conf := CookieConfig{Secure: true, HTTPOnly: true, Except: []string{"csrftoken"}, SameSite: "lax"}
	f.Fuzz(func(t *testing.T, line string, https bool) {
		moved := p.rewrite(line)
		hard := conf.harden(line, https)
		if !strings.ContainsAny(line, "\r\n\x00") && strings.ContainsAny(moved+hard, "\r\n\x00") {
			t.Fatalf("%q becomes %q and %q", line, moved, hard)
		}
		if added, ok := strings.CutPrefix(hard, line); !ok || len(added) > len("; Secure; HttpOnly; SameSite=Lax") {
			t.Fatalf("%q becomes %q", line, hard)
		}
		if low := strings.ToLower(line); moved != line && !strings.Contains(low, "domain") && !strings.Contains(low, "path") {
			t.Fatalf("%q becomes %q", line, moved)
		}
		before, after := strings.Split(line, ";"), strings.Split(moved, ";")
		if before[0] != after[0] {
			t.Fatalf("%q becomes %q: another cookie", line, moved)
		}
		i := 0
		for _, part := range before {
			switch {
			case i < len(after) && (after[i] == part || after[i] == prefixed(part)):
				i++
			case !isDomain(part):
				t.Fatalf("%q becomes %q: %q is lost", line, moved, part)
			}
		}
		if i != len(after) {
			t.Fatalf("%q becomes %q: something came in", line, moved)
		}
	})
}

// prefixed puts the prefix before the first slash, or in place of the only
// one.
func prefixed(part string) string {
	at := strings.IndexByte(part, '/')
	if at < 0 {
		return part
	}
	if httpfield.TrimOWS(part[at:]) == "/" {
		return part[:at] + "/app" + part[at+1:]
	}
	return part[:at] + "/app" + part[at:]
}
