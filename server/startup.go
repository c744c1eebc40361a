package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"gatehouse/config"
)

// StartupInfo is what people and programs that start a gate want to know once it
// serves.
type StartupInfo struct {
	Addrs    []net.Addr
	URLs     []string    // how to reach it, one for each of Addrs
	Routes   []RouteInfo // in the order of the configuration
	Users    int         // number of accounts in the configuration file
	Accounts int         // number of accounts in the database that were counted; -1: not known
	More     bool        // the database has more than Accounts
	Store    string      // store of sessions: session.store
	DataDir  string
	File     string   // path of the configuration; "" if it is in memory
	Dangers  []string // warnings about the configuration
}

// A RouteInfo says what is behind a route.
type RouteInfo struct {
	Match     string // host and path
	Upstreams []string
}

// String returns the match and the upstreams in one line.
func (r RouteInfo) String() string { return r.Match + " -> " + strings.Join(r.Upstreams, ", ") }

// Limits of counting accounts: a start must not wait for a large database.
const (
	countedAccounts = 1000 // more are not counted: a start must not wait for it
	countPatience   = time.Second
)

// startupInfo collects the information. lns are the listeners for visitors.
func (s *Server) startupInfo(ctx context.Context, lns []net.Listener) StartupInfo {
	c := s.options.Config
	f := StartupInfo{Users: len(c.Users), Store: c.Session.Store, DataDir: c.DataDir, File: c.File}
	for _, ln := range lns {
		f.Addrs = append(f.Addrs, ln.Addr())
		f.URLs = append(f.URLs, urlOf(ln.Addr(), c.TLS.Enabled()))
	}
	for _, r := range c.Routes {
		m := RouteInfo{Match: r.ASCIIHost() + r.Path, Upstreams: r.Upstreams}
		if r.Upstream != "" {
			m.Upstreams = []string{r.Upstream}
		}
		if m.Match == "" {
			m.Match = "/"
		}
		f.Routes = append(f.Routes, m)
	}
	for _, w := range c.Warnings {
		f.Dangers = append(f.Dangers, w.String())
	}
	f.Accounts, f.More = s.countAccounts(ctx)
	return f
}

// countAccounts counts the accounts of the database up to countedAccounts; more
// reports whether there are more. n is -1 if the database cannot be read in time.
func (s *Server) countAccounts(ctx context.Context) (n int, more bool) {
	ctx, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	for _, err := range s.shared.storage.accounts.List(ctx) {
		switch {
		case err != nil:
			return -1, false
		case n == countedAccounts:
			return n, true
		}
		n++
	}
	return n, false
}

// urlOf returns the URL with which a browser on this machine reaches the address;
// unix:PATH for a unix socket. The port is left out if it is the default one.
func urlOf(a net.Addr, tls bool) string {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return "unix:" + a.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "localhost" // it listens on all addresses, and localhost always exists
	}
	port := tcp.Port
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return scheme + "://" + bracketed(host)
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, strconv.Itoa(port)))
}

// bracketed returns host as it is written in a URL: an IPv6 address in brackets
// (RFC 3986, 3.2.2).
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// log writes the information to the log, for programs.
func (f *StartupInfo) log(log *slog.Logger, c *config.Config, version string) {
	for _, d := range f.Dangers {
		log.Warn("the configuration is dangerous", "problem", d)
	}
	routes := make([]string, len(f.Routes))
	for i, r := range f.Routes {
		routes[i] = r.String()
	}
	for i, a := range f.Addrs {
		log.Info("listening", "address", a.String(), "url", f.URLs[i], "tls", c.TLS.Enabled(),
			"routes", routes, "users", f.Users, "accounts", f.Accounts, "more_accounts", f.More,
			"store", f.Store, "file", f.File, "version", version)
	}
}
