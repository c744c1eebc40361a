package proxy

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/access"
)

// A worker at the root of the host sees the sign-in page, password and all: one
// script at /sw.js, or any address at the root that serves what somebody has
// uploaded, would do.
func TestServiceWorkerAtTheRootIsRefused(t *testing.T) {
	up := record(t, okAnswer)
	whole := fixture(up.url())
	whole.Access = []access.RuleConfig{{Path: "/", Public: true}}
	whole.ServiceWorkers = []string{"/allowed.js"}
	app, stripped := whole, whole
	app.Path, app.ServiceWorkers = "/app", nil
	stripped.Path, stripped.StripPrefix, stripped.ServiceWorkers = "/stripped", true, nil
	h := open(t, setting{}, whole, app, stripped)
	for _, tt := range []struct{ target, want string }{
		{"/sw.js", "403"},
		{"/dl?file=42", "403"},
		{"/", "403"},
		{"/app", "403"}, // the folder of /app is the root
		{"/stripped", "403"},
		{"/sw%2ejs", "403"},
		{"/ALLOWED.js", "403"},
		{"/allowed.js/../sw.js", "400 403"},
		{"/x/%2e%2e/sw.js", "400 403"},
		{"//sw.js", "400 403"},
		{"/x%2fsw.js", "403"},
		{"/allowed.js", "200"},
		{"/allowed.js?v=2", "200"},
		{"/app/sw.js", "200"},
		{"/stripped/sw.js", "200"}, // the browser's scope is /stripped/, whatever the upstream sees
		{"/static/js/sw.js", "200"},
		{"/static/a%20b.js", "200"},
	} {
		up.forget()
		answer := h.raw(t, "GET "+tt.target+" HTTP/1.1\r\nHost: "+host+"\r\nService-Worker: script\r\nSec-Fetch-Dest: serviceworker\r\nConnection: close\r\n\r\n")
		if !strings.Contains(tt.want, status(answer)) || status(answer) == "" {
			t.Errorf("%s: %s, want %s", tt.target, status(answer), tt.want)
		}
		if tt.want != "200" {
			up.empty(t)
		}
		if answer := h.raw(t, "GET "+tt.target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); tt.want == "403" && status(answer) != "200" {
			t.Errorf("%s without a worker: %s, want 200", tt.target, status(answer))
		}
	}
	if log := h.log.String(); !strings.Contains(log, "service worker refused") || !strings.Contains(log, "key=service_workers") && !strings.Contains(log, `"key":"service_workers"`) {
		t.Errorf("the log does not name the key:\n%s", log)
	}
}

func TestServiceWorkersAreChecked(t *testing.T) {
	for _, tt := range []struct{ path, script, bad, warn string }{
		{"/", "/sw.js", "", "passwords"},
		{"/sw.js", "/sw.js", "", "passwords"},
		{"/", "sw.js", "write it as browsers ask for it", ""},
		{"/", "/sw.js?v=1", "write it as browsers ask for it", ""},
		{"/", "/static/sw.js", "remove it", ""},
		{"/app", "/sw.js", "the route that takes it", ""},
	} {
		c := fixture("http://127.0.0.1:1")
		c.Path, c.ServiceWorkers = tt.path, []string{tt.script}
		problems, warnings := said(c.Check)
		bad := strings.Join(problems, "\n")
		warned := strings.Join(slices.DeleteFunc(warnings, func(w string) bool { return !strings.HasPrefix(w, "service_workers") }), "\n")
		if tt.bad == "" && bad != "" || !strings.Contains(bad, tt.bad) || tt.warn == "" && warned != "" || !strings.Contains(warned, tt.warn) {
			t.Errorf("%s in %s: bad %q, warned %q", tt.script, tt.path, bad, warned)
		}
	}
}
