package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/bench/load"
)

// A target is a running proxy, with what a request needs to be let through.
type target struct {
	service
	name    string
	cookie  string        // of the request; "": none
	metrics string        // URL of its counters; "": none
	config  string        // file of the gate's configuration; "": not a gate
	startup time.Duration // of the gate, until it answered
}

// The names of the targets, as -targets takes them.
const (
	direct       = "upstream" // asked directly
	nginx        = "nginx"
	nginxLog     = "nginx-log"
	nginxSockets = "nginx-sockets" // with room for them
	httputil     = "httputil"
	gate         = "gatehouse"
	gateLog      = "gatehouse-log"
	gateRoutes   = "gatehouse-routes"
	gateSessions = "gatehouse-sessions"
	oauth2       = "oauth2-proxy"
)

// fields returns the header lines of every request to the target.
func (t *target) fields() []string {
	if t.cookie == "" {
		return nil
	}
	return []string{"Cookie: " + t.cookie}
}

func (t *target) request(path string) []byte { return load.Get(t.addr, path, t.fields()...) }

// open starts a target, and checks that it lets alice through and nobody else. It
// returns nil when the flags leave the target out or its program is not named.
func (l *lab) open(ctx context.Context, name string) (*target, error) {
	if len(l.o.targets) > 0 && !slices.Contains(l.o.targets, name) {
		return nil, nil //nolint:nilnil // left out
	}
	t, err := l.launch(ctx, name)
	if err == nil && t != nil {
		err = t.check(ctx)
	}
	if err != nil {
		if t != nil {
			t.close()
		}
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	return t, nil
}

// launch starts the target with that name. With an error it may return a target,
// which the caller closes.
func (l *lab) launch(ctx context.Context, name string) (*target, error) {
	addr, err := l.freeAddr()
	if err != nil {
		return nil, err
	}
	t := &target{name: name, service: service{addr: addr}}
	switch name {
	case direct:
		t.service = l.pages
		return t, nil
	case nginx, nginxLog, nginxSockets:
		c := nginxConf{Name: fmt.Sprintf("nginx-%d", l.number), Listen: addr, AccessLog: name == nginxLog, Connections: 4096}
		if name == nginxSockets {
			c.Connections = l.files
		}
		t.process, err = l.nginx(ctx, "nginx.conf", c)
	case httputil:
		t.process, err = l.start(ctx, name, l.program("baseline"), "-listen", addr, "-upstream", "http://"+l.pages.addr, "-sink", "http://"+l.sink.addr)
	case gate, gateLog, gateRoutes, gateSessions:
		return t, l.gatehouse(ctx, t)
	case oauth2:
		return l.oauth2proxy(ctx, t)
	default:
		return l.peer(ctx, t)
	}
	if err != nil {
		return nil, err
	}
	return t, t.await(ctx, addr)
}

// close stops the target.
func (t *target) close() {
	if t.process != nil && t.name != direct {
		t.stop()
	}
}

// check makes sure that the right thing is measured: that requests of alice arrive
// as hers and, if the target has a cookie, that requests without it do not arrive.
func (t *target) check(ctx context.Context) error {
	client := browser(nil)
	defer client.CloseIdleConnections()
	resp, err := get(ctx, client, "http://"+t.addr+"/whoami", t.cookie)
	switch {
	case err != nil:
		return err
	case t.name == direct:
		return nil
	case resp.status != http.StatusOK || !strings.Contains(resp.body, "user=alice\n"):
		return fmt.Errorf("alice is not let through: status %d, %q", resp.status, resp.body)
	}
	if t.cookie == "" {
		return nil
	}
	if resp, err = get(ctx, client, "http://"+t.addr+"/1k", ""); err != nil {
		return err
	}
	if resp.status == http.StatusOK {
		return errors.New("everybody is let through")
	}
	return nil
}

// nginxConf holds the values of the templates of nginx's configurations.
type nginxConf struct {
	Name, Listen   string
	AccessLog      bool
	Connections    int // of each worker, at the most
	Root           bool
	Dir            string
	Files          int // descriptors
	Upstream, Sink string
}

func (l *lab) nginx(ctx context.Context, template string, c nginxConf) (*process, error) {
	program, err := findNginx(l.o.nginx)
	if err != nil {
		return nil, err
	}
	c.Root, c.Dir, c.Files = os.Getuid() == 0, l.dir, l.files
	c.Upstream, c.Sink = l.pages.addr, l.sink.addr
	file, err := l.configure(template, c.Name+".conf", c)
	if err != nil {
		return nil, err
	}
	return l.start(ctx, c.Name, program, "-e", "stderr", "-p", l.dir, "-c", file)
}

// findNginx returns the path of nginx, from PATH or from where Debian installs it.
func findNginx(name string) (string, error) {
	for _, place := range []string{name, "/usr/sbin/" + name} {
		if program, err := exec.LookPath(place); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("there is no %s, which we compare with; apt-get install nginx-light, or name it with -nginx", name)
}

// nginxVersion returns the name and version of nginx.
func (l *lab) nginxVersion(ctx context.Context) (string, error) {
	program, err := findNginx(l.o.nginx)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, program, "-v").CombinedOutput() //nolint:gosec // the developer names the program
	if err != nil {
		return "", fmt.Errorf("nginx -v: %w", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "nginx version: "), nil
}

// oauth2proxy starts the program that OAUTH2_PROXY names, with its cookie
// store and a login by password, and signs alice in.
func (l *lab) oauth2proxy(ctx context.Context, t *target) (_ *target, err error) {
	program := os.Getenv("OAUTH2_PROXY")
	if program == "" {
		return nil, nil //nolint:nilnil // not named
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return nil, fmt.Errorf("hash: %w", err)
	}
	file := l.file("htpasswd")
	if err := os.WriteFile(file, []byte("alice:"+string(hash)+"\n"), 0o600); err != nil { //nolint:gosec // in our own folder
		return nil, fmt.Errorf("write htpasswd: %w", err)
	}
	t.process, err = l.start(ctx, t.name, program, "--provider=github", "--client-id=x", "--client-secret=y",
		"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--email-domain=*",
		"--upstream=http://"+l.pages.addr+"/", "--http-address="+t.addr, "--htpasswd-file="+file,
		"--redirect-url=http://"+t.addr+"/oauth2/callback", "--request-logging=false", "--auth-logging=false")
	if err != nil {
		return nil, err
	}
	if err := t.await(ctx, t.addr); err != nil {
		return t, err
	}
	t.cookie, err = signIn(ctx, "http://"+t.addr, "/oauth2/sign_in?rd=/whoami")
	return t, err
}

// A peer is another program to compare with, as -peer names it.
type peer struct {
	name, start, addr, cookie string
}

// parsePeer reads name=...;start=...;addr=...;cookie=..., of which only the
// cookie may be missing. It must set the header X-Forwarded-User to alice.
func parsePeer(s string) (peer, error) {
	var p peer
	known := map[string]*string{"name": &p.name, "start": &p.start, "addr": &p.addr, "cookie": &p.cookie}
	for part := range strings.SplitSeq(s, ";") {
		key, value, _ := strings.Cut(part, "=")
		to := known[strings.TrimSpace(key)]
		if to == nil {
			return peer{}, fmt.Errorf("-peer %s: %q is none of name, start, addr, cookie", s, key)
		}
		*to = strings.TrimSpace(value)
	}
	if p.name == "" || p.start == "" || p.addr == "" {
		return peer{}, fmt.Errorf("-peer %s: name, start and addr are required", s)
	}
	return p, nil
}

// peer starts the peer with the target's name. It finds the upstream's
// address in UPSTREAM.
func (l *lab) peer(ctx context.Context, t *target) (_ *target, err error) {
	i := slices.IndexFunc(l.o.peers, func(p peer) bool { return p.name == t.name })
	if i < 0 {
		return nil, fmt.Errorf("there is no %s", strconv.Quote(t.name))
	}
	p := l.o.peers[i]
	t.addr, t.cookie = p.addr, p.cookie
	if t.process, err = l.start(ctx, t.name, "/usr/bin/env", "UPSTREAM="+l.pages.addr, "sh", "-c", "exec "+p.start); err != nil {
		return nil, err
	}
	return t, t.await(ctx, t.addr)
}
