package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Each problem with login.host is told once, at the key to change.
func TestLoginHost(t *testing.T) {
	file := filepath.Join(fixtures(t), "gatehouse.yaml")
	const https = "trusted_proxies: [127.0.0.1]\n"
	login := func(host string) string { return "login: {host: " + host + "}\n" }
	routes := func(hosts ...string) string {
		const end = "', upstream: 'http://127.0.0.1:3000'}\n"
		return "routes:\n  - {host: '" + strings.Join(hosts, end+"  - {host: '") + end
	}
	const gate = "login: {host: gate.example.com}\n"
	app := routes("wiki.example.com", "bücher.example")
	for _, tt := range []struct {
		name, text string
		wrong      string // the errors, one a line: key and beginning of the text
		warns      string // the warnings likewise
	}{
		{"on hosts of several domains", https + gate + app, "", ""},
		{"signing out of one host", https + "login: {host: gate.example.com, logout: host}\n" + app, "", ""},
		{"hosts that only begin or end alike", https + gate + routes("a.gate.example.com", "gate.example.com.evil.example", "xgate.example.com"), "", ""},

		{
			"a route on the login host", https + gate + routes("wiki.example.com", "gate.example.com"),
			`routes[1].host: "gate.example.com" is login.host, which serves no application; write another host`, "",
		},
		{
			"in another spelling", https + login("Tür.example.") + routes("XN--tr-xka.example"),
			`routes[0].host: "XN--tr-xka.example" is login.host`, "",
		},
		{
			"with a port", https + gate + routes("gate.example.com:8443"),
			`routes[0].host: "gate.example.com:8443" is login.host`, "",
		},
		{
			"a route for any host", https + gate + routes("wiki.example.com", ""),
			"routes[1].host: is missing, so that any host would get sign-ins from login.host; write each host, such as wiki.example.com", "",
		},
		{"an address", https + gate + routes("192.0.2.1", "192.0.2.1:8080", "[2001:db8::1]", "[::1]:80"), `
			routes[0].host: "192.0.2.1" is an address, and with login.host applications have names; write one, such as wiki.example.com
			routes[1].host: "192.0.2.1:8080" is an address
			routes[2].host: "[2001:db8::1]" is an address
			routes[3].host: "[::1]:80" is an address`, ""},
		{"a port", https + gate + routes("wiki.example.com:8443", "bücher.example:80", "*.example.com:8443"), `
			routes[0].host: "wiki.example.com:8443" has a port, and with login.host sign-ins are kept by name alone; write "wiki.example.com"
			routes[1].host: "bücher.example:80" has a port, and with login.host sign-ins are kept by name alone; write "bücher.example"
			routes[2].host: "*.example.com:8443" has a port, and with login.host sign-ins are kept by name alone; write "*.example.com"`, ""},
		{"a wildcard", https + gate + routes("*.example.com", "*.gate.example.com"), "", `
			routes[0].host: "*.example.com": with login.host, whoever controls any host below it can get the sign-ins of visitors for that host, and use this application as them; write a route for each host
			routes[1].host: "*.gate.example.com": with login.host, whoever controls`},
		{
			"a host that is none", https + gate + routes("a b.example.com"),
			`routes[0].host: "a b.example.com" is not a host name`, "",
		},
		{
			"a login host that is none", "login: {host: 192.0.2.1}\ncookie: {domain: example.com}\n" + routes(""),
			`login.host: "192.0.2.1" is an address`, "",
		},

		{
			"plain http", gate + app,
			`login.host: "gate.example.com" is on plain http, where anybody on the way can take the sign-ins that pass from host to host; write tls.cert_file and tls.key_file, or name the proxy with https in trusted_proxies`, "",
		},
		{"a unix socket", "listen: unix:/run/gatehouse.sock\n" + gate + app, `login.host: "gate.example.com" is on plain http`, ""},
		{"plain http on this machine", login("localhost") + routes("wiki.localhost") + "cookie: {secure: 'false'}\n", "", "cookie.secure: false: the cookie travels over plain http"},
		{"plain http below localhost", login("gate.localhost.") + routes("wiki.localhost"), "", ""},
		{"plain http, and the name only ends like it", login("gatelocalhost.example") + app, `login.host: "gatelocalhost.example" is on plain http`, ""},
		{"TLS", "tls: {cert_file: files/cert.pem, key_file: files/key.pem}\n" + gate + app, "", ""},
		{"half of TLS", "tls: {cert_file: files/cert.pem}\n" + gate + app, "tls.key_file: is missing", ""},
		{"https somewhere in front, of which nothing is known", "cookie: {secure: 'true'}\n" + gate + app, `login.host: "gate.example.com" is on plain http`, ""},

		{
			"a cookie for the domain", https + "cookie: {domain: example.com}\n" + gate + app,
			`cookie.domain: "example.com" is not for login.host, with which each host has a cookie of its own; leave it out`, "",
		},
		{
			"a strict cookie", https + "cookie: {same_site: strict}\n" + gate + app,
			"cookie.same_site: strict: browsers do not send such a cookie on the way from another site to login.host and back; write lax", "",
		},
		{"a cookie for frames", https + "cookie: {same_site: none}\n" + gate + app, "", ""},
		{
			"a cookie over plain http", https + "cookie: {secure: 'false'}\n" + gate + app,
			"cookie.secure: false: with login.host, anybody on the way could take the sign-in for each host; write auto", "",
		},

		{"without it, all of this is allowed", "cookie: {domain: example.com, same_site: strict, secure: 'false'}\n" +
			routes("", "192.0.2.1", "wiki.example.com:8443", "*.example.com"), "", `
				cookie.secure: false: the cookie travels over plain http
				cookie.domain: "example.com": the cookie goes to every host`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(file, []byte(tt.text))
			var wrong Problems
			if err != nil && !errors.As(err, &wrong) {
				t.Fatal(err)
			}
			checkProblems(t, "error", wrong, tt.wrong)
			if err == nil {
				checkProblems(t, "warning", c.Warnings, tt.warns)
			}
		})
	}
}

// checkProblems compares problems with their beginnings, one a line.
func checkProblems(t *testing.T, kind string, got Problems, want string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(got) != len(lines) {
		t.Errorf("%ss:\n%v\nwant:\n%s", kind, got, strings.Join(lines, "\n"))
		return
	}
	for i, p := range got {
		if text := p.Key + ": " + p.Message; !strings.HasPrefix(text, lines[i]) {
			t.Errorf("%s %s\nwant %s", kind, text, lines[i])
		}
	}
}

// The cookie of a visitor on the way to the login host has a name of ours too.
func TestStickyCookieOfLoginHost(t *testing.T) {
	_, err := Parse("", []byte("routes:\n  - {upstreams: ['http://10.0.0.1:1', 'http://10.0.0.2:1'], sticky: Gatehouse_enter}\n"))
	if err == nil || !strings.Contains(err.Error(), "is the name of a cookie of ours") {
		t.Errorf("%v", err)
	}
}
