package config

import (
	"io/fs"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/problem"
)

// A checker is a section that can report what is wrong with it.
type checker interface {
	Check(report *problem.List)
}

// check calls Check of every section and then checks what concerns several of
// them. Relative paths start at dir. info describes the configuration file; nil
// if there is none.
func (c *Config) check(r *reporter, dir string, info fs.FileInfo) {
	checkSections(reflect.ValueOf(c).Elem(), "", r)
	c.checkTogether(&crossCheck{reporter: r, dir: dir, info: info})
}

// checkSections calls Check of v and of all sections in it. key is the key of v;
// "" at the top.
func checkSections(v reflect.Value, key string, r *reporter) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			checkSections(v.Elem(), key, r)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer {
			return
		}
		for i := range v.Len() {
			if r.full() {
				return
			}
			checkSections(v.Index(i), index(key, i), r)
		}
	case reflect.Struct:
		if readsItself(v) {
			return
		}
		checkSection(v, key, r)
		for _, f := range reflect.VisibleFields(v.Type()) {
			if name := f.Tag.Get("yaml"); f.IsExported() && name != "" && name != "-" {
				checkSections(v.FieldByIndex(f.Index), problem.Join(key, name), r)
			}
		}
	default: // a value, which its section checks
	}
}

// checkSection calls Check of one section, if it has one. Problems with a key
// that already has an error are left out: they follow from that error.
func checkSection(v reflect.Value, section string, r *reporter) {
	s, ok := reflect.TypeAssert[checker](v.Addr())
	if !ok {
		return
	}
	var found problem.List
	s.Check(&found)
	broken := func(p problem.Problem) bool { return r.isBroken(problem.Join(section, p.Key)) }
	found.Errors = slices.DeleteFunc(found.Errors, broken)
	found.Warnings = slices.DeleteFunc(found.Warnings, broken)
	for _, p := range found.Warnings {
		r.warn(problem.Join(section, p.Key), "%s", p.Message)
	}
	for _, p := range found.Errors {
		key := problem.Join(section, p.Key)
		r.bad(r.line(key), key, "%s", p.Message)
	}
}

// Check reports what is wrong with the keys at the top of the file. It sets
// Trusted.
func (c *Config) Check(report *problem.List) {
	if c.Version != 1 {
		report.Errorf("version", "%d is no version that this program knows; write 1", c.Version)
	}
	if c.Listen == "" {
		report.Errorf("listen", `is empty; write host:port, such as 127.0.0.1:8080, unix:/path, or systemd`)
	} else if what := badListen(c.Listen); what != "" && c.Listen != "systemd" {
		report.Errorf("listen", "%s", what)
	}
	if mode, ok := fileMode(c.ListenMode); !ok {
		report.Errorf("listen_mode", "%s is no mode of a file; write it as chmod takes it, such as \"0660\"", quote(c.ListenMode))
	} else if mode&0o002 != 0 && strings.HasPrefix(c.Listen, "unix:") {
		report.Warnf("listen_mode", "with %s, everybody on this machine can connect, and is believed as a proxy is; write \"0660\" and put the proxy into the group", quote(c.ListenMode))
	}
	if c.DataDir == "" {
		report.Errorf("data_dir", "is empty; write the path of a folder, such as ./data")
	}
	c.Trusted = nil
	for i, text := range c.TrustedProxies {
		p, what := network(text)
		if what != "" {
			report.Errorf(index("trusted_proxies", i), "%s", what)
			continue
		}
		// Networks this large are hardly anybody's own proxies.
		if p.Bits() < 8 && p.Addr().Is4() || p.Bits() < 7 {
			report.Warnf(index("trusted_proxies", i), "with %s, almost anybody can claim any address and https by sending X-Forwarded-For and -Proto; name the networks of your own proxies only", text)
		}
		c.Trusted = append(c.Trusted, p)
	}
	if len(c.Routes) == 0 {
		report.Warnf("routes", "there are none, so that nothing is forwarded; write at least one with its upstream")
	}
}

// Check reports negative limits, and warns of limits that contradict each other.
func (c *LimitsConfig) Check(report *problem.List) {
	for _, l := range []struct {
		key string
		n   int
	}{{"connections", c.Connections}, {"per_address", c.PerAddress}} {
		if l.n < 0 {
			report.Errorf(l.key, "%d is negative; write 0 for no limit", l.n)
		}
	}
	if c.PerAddress > 0 && c.Connections > 0 && c.PerAddress >= c.Connections {
		report.Warnf("per_address", "one address may take all of limits.connections; write less than %d", c.Connections)
	}
}

// Check reports an address that cannot be listened on, and warns of one that
// other machines can reach.
func (c *AdminConfig) Check(report *problem.List) {
	if c.Listen == "" {
		return
	}
	if what := badListen(c.Listen); what != "" {
		report.Errorf("listen", "%s", what)
	} else if strings.HasPrefix(c.Listen, "unix:") {
		report.Errorf("listen", "%s is a unix socket; write host:port, such as 127.0.0.1:9090 (gatehouse health asks the control socket)", quote(c.Listen))
	} else if !onlyLocal(c.Listen) {
		report.Warnf("listen", "%s shows metrics and health to whoever reaches it, without a login; write 127.0.0.1:9090, or close the port to others", quote(c.Listen))
	}
}

// Check reports negative durations.
func (c *StopConfig) Check(report *problem.List) {
	if c.Delay < 0 {
		report.Errorf("delay", "%v is less than nothing; write how long new connections are still served, such as 5s", c.Delay)
	}
	if c.Limit < 0 {
		report.Errorf("limit", "%v is less than nothing; write how long requests under way may take, such as 30s", c.Limit)
	}
}

// Check reports unknown levels and formats.
func (c *LogConfig) Check(report *problem.List) {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Level) {
		report.Errorf("level", "%s is no level; write debug, info, warn or error", quote(c.Level))
	}
	if !slices.Contains([]string{"auto", "text", "json"}, c.Format) {
		report.Errorf("format", "%s is no format; write auto, text or json", quote(c.Format))
	}
}

// badListen returns what is wrong with an address to listen on, host:port or
// unix:/path, and how to write it; "" if nothing is wrong.
func badListen(s string) string {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case !strings.HasPrefix(path, "/"):
			return quote(s) + " is not an absolute path; write unix:/path"
		case len(path) > 100: // sun_path holds 108 bytes, with a NUL, on Linux
			return quote(s) + " is too long for a socket; write a path of 100 bytes at most"
		}
		return ""
	}
	if rest, ok := strings.CutPrefix(s, "http://"); ok {
		return quote(s) + " is an address with a scheme; write " + quote(strings.TrimRight(rest, "/"))
	}
	if strings.HasPrefix(s, "https://") {
		return quote(s) + " is an address with a scheme; write host:port, and tls.cert_file and tls.key_file for https"
	}
	host, port, err := net.SplitHostPort(s)
	switch {
	case err != nil && isPort(s):
		return quote(s) + " is only a port; write 127.0.0.1:" + s + ", or :" + s + " for all addresses"
	case err != nil && strings.Count(s, ":") > 1:
		return quote(s) + " is not host:port; write an IPv6 address in brackets, such as [::1]:8080"
	case err != nil:
		return quote(s) + " is not host:port; write 127.0.0.1:8080, unix:/path, or systemd"
	case !isPort(port):
		return quote(s) + " has no port from 0 to 65535; write one, such as 8080"
	case strings.ContainsAny(host, " /@,*?#"):
		return quote(s) + " is not host:port; write the address of an interface, or :" + port + " for all addresses"
	}
	return ""
}

// isPort reports whether s is a decimal number from 0 to 65535 without leading
// zeros.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// onlyLocal reports whether only this machine can connect to the address. A host
// name other than localhost counts as reachable.
func onlyLocal(listen string) bool {
	if strings.HasPrefix(listen, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// network parses a network (10.0.0.0/8) or an address (192.0.2.1), which becomes
// a network of one address. If that fails, what is the problem and its remedy;
// else it is "".
func network(s string) (p netip.Prefix, what string) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		if s == "*" {
			return p, `"*" is not a network; write the addresses of your proxies, such as 10.0.0.0/8`
		}
		return p, quote(s) + " is not a network; write 10.0.0.0/8 or 192.0.2.1"
	}
	if p.Addr().Is4In6() {
		return p, quote(s) + " is an IPv4 network written as IPv6; write it as IPv4, such as 10.0.0.0/8"
	}
	if p != p.Masked() {
		return p, quote(s) + " has an address inside the network; write " + p.Masked().String() + " for the network, or " + p.Addr().String() + " for the address"
	}
	return p, ""
}
