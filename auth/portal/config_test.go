package portal_test

import (
	"strings"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/problem"
)

// keysOf returns the keys of a list of problems, with spaces between.
func keysOf(list []problem.Problem) string {
	var keys []string
	for _, p := range list {
		keys = append(keys, p.Key)
	}
	return strings.Join(keys, " ")
}

func TestLoginConfigCheck(t *testing.T) {
	var c portal.LoginConfig
	c.SetDefaults()
	var found problem.List
	if c.Check(&found); len(found.Errors)+len(found.Warnings) > 0 {
		t.Errorf("the defaults: %v, %v", found.Errors, found.Warnings)
	}
	c.Title, c.Throttle.PerAccount.Count = "a\nb", 0
	if c.Check(&found); keysOf(found.Errors) != "title" || keysOf(found.Warnings) != "throttle.per_account" {
		t.Errorf("%v, %v", found.Errors, found.Warnings)
	}
	c.SetDefaults()
	c.Throttle.PerAccount.Count, c.Throttle.PerNetwork.Per = 1000, 1000*3600*1e9
	found = problem.List{}
	if c.Check(&found); keysOf(found.Errors) != "throttle.per_network" || keysOf(found.Warnings) != "throttle.per_account" {
		t.Errorf("%v, %v", found.Errors, found.Warnings)
	}
}

func TestLoginHostCheck(t *testing.T) {
	for _, tt := range []struct {
		host, logout, ascii, want string // want: the key and a part of the only error; "": none
	}{
		{"", "all", "", ""},
		{"gate.example.com", "all", "gate.example.com", ""},
		{"gate.example.com", "host", "gate.example.com", ""},
		{"Gate.Example.COM.", "all", "gate.example.com", ""},
		{"Tür.Bücher.example", "all", "xn--tr-xka.xn--bcher-kva.example", ""},
		{"localhost", "all", "localhost", ""},
		{"gate.localhost", "all", "gate.localhost", ""},
		{"4.example.com", "all", "4.example.com", ""},
		{"gate", "all", "gate", "host: \"gate\" has no dot; write the whole name, such as gate.example.com"},
		{"https://gate.example.com", "all", "", "host: \"https://gate.example.com\" is more than a name; write it without scheme, port and path"},
		{"gate.example.com:443", "all", "", "host: \"gate.example.com:443\" is more than a name"},
		{"gate.example.com:", "all", "", "host: \"gate.example.com:\" is more than a name"},
		{"gate.example.com/", "all", "", "host: \"gate.example.com/\" is more than a name"},
		{"*.example.com", "all", "", "host: \"*.example.com\" stands for several hosts; write the one on which people sign in"},
		{"a b.example.com", "all", "", "host: \"a b.example.com\" is not a host name; write one like gate.example.com"},
		{"a@gate.example.com", "all", "", "host: \"a@gate.example.com\" is not a host name"},
		{"gate..example.com", "all", "", "is not a host name"},
		{"bücher_1.example", "all", "", "is not a host name"},
		{"gate.example.com\n", "all", "", "is not a host name"},
		{"192.0.2.1", "all", "", "host: \"192.0.2.1\" is an address; write a name"},
		{"192.0.2.1.", "all", "", "is an address"},
		{"127.1", "all", "", "is an address"},
		{"10.0.0.0X1", "all", "", "is an address"},
		{"gate.12", "all", "", "is an address"},
		{"2001:db8::1", "all", "", "is an address"},
		{"[2001:db8::1]", "all", "", "is an address"},
		{"", "host", "", "logout: host is not used without login.host"},
		{"", "app", "", "logout: \"app\" is not known; write all or host"},
		{"gate.example.com", "", "", "logout: \"\" is not known; write all or host"},
	} {
		var c portal.LoginConfig
		c.SetDefaults()
		c.Host, c.Logout = tt.host, tt.logout
		var found problem.List
		c.Check(&found)
		if tt.ascii != "" && c.ASCIIHost() != tt.ascii {
			t.Errorf("%q becomes %q, want %q", tt.host, c.ASCIIHost(), tt.ascii)
		}
		var got []string
		for _, p := range append(found.Errors, found.Warnings...) {
			got = append(got, p.String())
		}
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("host %q, logout %q: %q, want %q", tt.host, tt.logout, got, tt.want)
		}
	}
}
