package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/internal/web"
)

// spoofs are names by which applications are told who asks, and which no
// configuration here names: with X-WebAuth-User sent by us, a client's
// X-WebAuth-Role passed.
var spoofs = []string{
	"X-WEBAUTH-ROLE", "X-WEBAUTH-GROUPS", "X-WEBAUTH-EMAIL", "X-WEBAUTH-NAME", "X-Remote-Group", "X-Remote-Extra-Scopes", "X-Remote-Uid", "Remote-Role",
	"X-Auth-Request-Access-Token", "X-Forwarded-Access-Token", "X-Forwarded-Role", "X-Forwarded-User-Id", "X-Forwarded-Group", "X-Forwarded-Preferred-Name",
	"X-Token-Subject", "X-Pomerium-Jwt-Assertion", "X-Pomerium-Claim-Email", "X-authentik-username", "X-authentik-groups", "Tailscale-User-Login",
	"Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "SSL-Client-S-DN", "Ssl-Client-Verify", "X-Client-Cert", "X-Client-Cert-Chain",
	"X-Client-Certificate", "X-SSL-Client-Cert", "X-SSL-Cert", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-ARR-ClientCert", "Client-Cert",
	"OIDC-CLAIM-sub", "X-Consumer-Username", "X-Goog-Authenticated-User-Email", "X-Ms-Client-Principal-Name", "X-Amzn-Oidc-Identity",
	"X-Original-Forwarded-For", "X-Azure-ClientIP", "Remote-Addr", // where the visitor is
	"X-Company-Groups", "X-Company-Role", "X-Company-User-Email", // foreignNames of X-Company-User
}

func cousinly(upstream string) RouteConfig {
	c := fixture(upstream)
	c.HeaderNames = anyNames
	c.Identity = &IdentityConfig{Headers: map[string]string{"X-Company-User": "username"}}
	return c
}

func TestCousinsOfIdentityHeaders(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		h := open(t, s, cousinly(up.url()))
		for _, path := range []string{"/public/x", "/x"} {
			for _, name := range spoofs {
				for _, spelled := range []string{name, strings.ToUpper(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", ".", 1)} {
					up.forget()
					h.get(t, path, aliceLine, spelled+": root\r\n", "X-Harmless: yes\r\n")
					if got := up.one(t); strings.Contains(got, "root") || !strings.Contains(got, "X-Harmless: yes") {
						t.Errorf("%s on %s: upstream saw %q", spelled, path, got)
					}
				}
			}
		}
		up.forget()
		for _, name := range spoofs {
			h.raw(t, "POST /x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nTrailer: "+name+"\r\nTransfer-Encoding: chunked\r\n"+aliceLine+"\r\n1\r\na\r\n0\r\n"+name+": root\r\n\r\n")
		}
		for _, got := range up.seen() {
			if strings.Contains(got, "root") {
				t.Errorf("as a trailer: upstream saw %q", got)
			}
		}
	})
}

func TestCousinsOverHTTP2(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{https: true}, cousinly(up.url()))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/x", http.NoBody)
	req.AddCookie(&http.Cookie{Name: ourCookie, Value: "alice"}) //nolint:gosec // a client's
	for _, name := range spoofs {
		req.Header.Set(name, "root")
	}
	res, err := h.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(res.Body)
	if got := up.one(t); res.ProtoMajor != 2 || strings.Contains(got, "root") {
		t.Errorf("%s: upstream saw %q", res.Proto, got)
	}
}

// What applications and their own scripts send is no foreignIdentity.
func TestOrdinaryNamesPass(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, cousinly(up.url()))
	for _, name := range []string{
		"X-Token", "X-Auth-Token", "X-Session-Token", "X-User-Agent", "X-Csrf-Token", "X-Api-Key", "X-Company-Token", "X-Company-Id", "Authorization", "X-Ssl",
		"X-Requested-With", "Remote", "X-Account-Id", "Depth",
	} {
		up.forget()
		h.get(t, "/x", aliceLine, name+": mine\r\n")
		if got := up.one(t); !strings.Contains(got, name+": mine\r\n") {
			t.Errorf("%s is lost: upstream saw %q", name, got)
		}
	}
}

func TestPassHeaders(t *testing.T) {
	trusted := web.Networks{netip.MustParsePrefix("127.0.0.0/8")}
	up := record(t, okAnswer)
	passes, other := cousinly(up.url()), cousinly(up.url())
	passes.PassHeaders = []string{"X-Company-*", "X-SSL-Client-*", "X-Remote-Group", "X-Forwarded-User", "X-Session-*"}
	other.Host = "other.example.test"
	for _, s := range []setting{{}, {trusted: trusted}} {
		h := open(t, s, passes, other)
		for name, want := range map[string]bool{
			"X-Company-Groups": true, "X-SSL-Client-Cert": true, "X-Remote-Group": true, "X-Forwarded-User": true,
			"X-Company-User": false, "X_Company_User": false, "X-Remote-Groups": false, "X-Pomerium-Jwt-Assertion": false, "X-Session-Data": false,
		} {
			up.forget()
			h.get(t, "/x", aliceLine, name+": said\r\n")
			if got := up.one(t); strings.Contains(got, ": said") != want {
				t.Errorf("%s: upstream saw %q, want it to pass: %v", name, got, want)
			}
			up.forget()
			h.raw(t, "GET /x HTTP/1.1\r\nHost: other.example.test\r\nConnection: close\r\n"+aliceLine+name+": said\r\n\r\n")
			if got := up.one(t); strings.Contains(got, ": said") {
				t.Errorf("%s on another route: upstream saw %q", name, got)
			}
		}
	}
}

func TestPassHeadersChecked(t *testing.T) {
	c := fixture("http://127.0.0.1:1")
	c.Access = []access.RuleConfig{{}}
	c.Identity = &IdentityConfig{Headers: map[string]string{"X-Company-User": "username"}}
	c.PassHeaders = []string{"X-Company-User", "x_company_user", "*", "Host", "X-Original-URL", "X-Session-Data", "a b", "X-Remote-*", "Accept"}
	problems, warnings := said(c.Check)
	if len(problems) != 7 || len(warnings) != 2 {
		t.Errorf("problems %q, warnings %q", problems, warnings)
	}
	if i := slices.IndexFunc(problems, func(s string) bool { return strings.Contains(s, "pass_headers[0]") }); i < 0 {
		t.Errorf("no problem is told of pass_headers[0]: %q", problems)
	}
}

// BenchmarkNames looks up what a browser sends, and two names that nobody
// knows.
func BenchmarkNames(b *testing.B) {
	n := newPolicyTable([]string{"X-Company-User"})
	list := append([]string{"X-Custom-Header-Of-Mine", "X-Csrf-Token"}, common[:20]...)
	for b.Loop() {
		for _, name := range list {
			n.of(name)
		}
	}
}
