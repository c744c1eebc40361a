package proxy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/access"
)

// Symfony, Laravel and Express take another method from the query: a rule for
// that one counts.
func TestMethodOverrideInTheQueryGetsPastNoRule(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Access = []access.RuleConfig{{Methods: []string{"DELETE"}, Groups: []string{"admins"}}, {}}
	h := open(t, setting{}, c)
	for target, want := range map[string]string{
		"/x?_method=DELETE": "403", "/x?a=b&_method=delete": "403", "/x?%5fmethod=Delete": "403", "/x?a;_METHOD=%64elete": "403", "/x?.method=delete": "403", "/x?+_method=delete+": "403",
		"/x?x-http-method-override=DELETE": "403", "/x?_method=patch&_method=delete": "403", "/x?_method=TRACE": "400", "/x?_method=%0a": "200",
		"/x?_method=PATCH": "200", "/x?_method=": "200", "/x?my_method=delete": "200", "/x?q=_method%3Ddelete": "200", "/x": "200",
	} {
		up.forget()
		answer := h.raw(t, "POST "+target+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 0\r\nConnection: close\r\n"+aliceLine+"\r\n")
		if got := status(answer); got != want {
			t.Errorf("POST %s: %s, want %s", target, got, want)
		}
		if want != "200" {
			up.empty(t)
		}
	}
	if e := h.proxy.Explain(t.Context(), ExplainRequest{Method: "POST", URL: "https://" + host + "/x?_method=delete", Who: &access.Who{Name: "alice"}}); e.Decision != "deny" || !strings.Contains(e.Why, "DELETE") {
		t.Errorf("explain: %+v", e)
	}
}

// An application that does not care for letter case takes the other method by
// a path of the route that has no rule for methods.
func TestMethodOverrideGetsPastNoRuleOfANearRoute(t *testing.T) {
	up := record(t, okAnswer)
	root, admin := fixture(up.url()), fixture(up.url())
	root.Access, admin.Path, admin.Access = nil, "/Admin", []access.RuleConfig{{Methods: []string{"DELETE"}, Groups: []string{"admins"}}, {}}
	h := open(t, setting{}, root, admin)
	for path, want := range map[string]string{"/admin/x": "403", "/x": "200"} {
		for _, request := range []string{
			"POST " + path + "?_method=delete HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
			"POST " + path + " HTTP/1.1\r\nContent-Type: " + formType + "\r\nContent-Length: 14\r\n\r\n_method=delete",
		} {
			if got := status(h.raw(t, strings.Replace(request, "\r\n", "\r\nHost: "+host+"\r\nConnection: close\r\n"+aliceLine, 1))); got != want {
				t.Errorf("%q: %s, want %s", request, got, want)
			}
		}
		up.forget()
		h.get(t, path, aliceLine, "X-HTTP-Method-Override: DELETE\r\n")
		if passes := strings.Contains(up.one(t), "DELETE"); passes != (want == "200") {
			t.Errorf("%s: the header passes: %v", path, passes)
		}
	}
}

// What no rule can see is said when the configuration is checked.
func TestCheckWarnsOfAliases(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []access.RuleConfig
		want  string
	}{
		{"file without its extension", []access.RuleConfig{{Path: "/admin.php", Groups: []string{"a"}}, {}}, `access[0]: web servers may answer "/admin" for "/admin.php"`},
		{"open by default", []access.RuleConfig{{Path: "/admin", Groups: []string{"a"}}, {Public: true}}, "access[1]: opens whatever has no rule"},
		{"closed by default", []access.RuleConfig{{Path: "/static", Public: true}, {Path: "/admin", Groups: []string{"a"}}, {}}, ""},
		{"methods that everybody uses", []access.RuleConfig{{Path: "/x", Methods: []string{"GET", "POST"}}, {Deny: true}}, ""},
	} {
		c := fixture("http://127.0.0.1:1")
		c.Access = tt.rules
		_, warnings := said(c.Check)
		if tt.want == "" && len(warnings) > 0 || tt.want != "" && !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, tt.want) }) {
			t.Errorf("%s: %q, want %q", tt.name, warnings, tt.want)
		}
	}
}

func FuzzMethodsIn(f *testing.F) {
	f.Add("_method=delete&a=b")
	f.Add("%5Fmethod=%zz;x")
	f.Fuzz(func(t *testing.T, query string) {
		list, _ := methodsIn(query)
		for _, m := range list {
			if checkMethod(m) != nil {
				t.Errorf("%q names %q", query, m)
			}
		}
	})
}
