package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// password is the password of alice.
const password = "correct horse battery staple"

// gateConf holds the values of the template of the gate's configuration.
type gateConf struct {
	Listen, Admin, Data, Hash string
	Upstream, Sink            string
	AccessLog                 bool
	Others                    []otherRoute // before the ones that are used
	Rules                     []string     // paths of rules before the one that decides
}

// An otherRoute is a route that no request takes, by its host or by its path.
type otherRoute struct{ Host, Path string }

// The size of the target with many routes.
const (
	manyRoutes = 1000
	manyRules  = 100
)

// routesAndRules adds the routes and rules that a request has to pass before the
// ones that apply to it: half of the routes by host, half by path.
func (c *gateConf) routesAndRules() {
	for i := range manyRoutes - 3 { // three are used
		r := otherRoute{Host: fmt.Sprintf("app-%03d.example.com", i)}
		if i%2 == 1 {
			r = otherRoute{Path: fmt.Sprintf("/apps/app-%03d", i)}
		}
		c.Others = append(c.Others, r)
	}
	for i := range manyRules - 1 {
		c.Rules = append(c.Rules, fmt.Sprintf("/section-%02d", i))
	}
}

// gatehouse starts the gate as the target t, with a session of alice in the embedded
// store.
func (l *lab) gatehouse(ctx context.Context, t *target) (err error) {
	admin, err := l.freeAddr()
	if err != nil {
		return err
	}
	hash, err := l.command(ctx, password+"\n", l.program("gatehouse"), "hash", "--password-stdin")
	if err != nil {
		return err
	}
	name := fmt.Sprintf("gatehouse-%d", l.number)
	c := gateConf{
		Listen: t.addr, Admin: admin, Data: l.file(name), Hash: hash,
		Upstream: l.pages.addr, Sink: l.sink.addr, AccessLog: t.name == gateLog,
	}
	switch t.name {
	case gateRoutes:
		c.routesAndRules()
	case gateSessions:
		c.Data = l.file(storedData)
	}
	file, err := l.configure("gatehouse.yaml", name+".yaml", c)
	if err != nil {
		return err
	}
	program, args := l.program("gatehouse"), []string{"serve", "--config", file}
	if l.o.profile != "" {
		program, args = l.program("profiled"), []string{"-config", file, "-login", filepath.Join(l.module, "login.html"), "-o", l.o.profile}
	}
	begin := time.Now()
	if t.process, err = l.start(ctx, name, program, args...); err != nil {
		return err
	}
	if err := t.await(ctx, t.addr); err != nil {
		return err
	}
	t.config, t.startup = file, time.Since(begin)
	t.metrics = "http://" + admin + "/metrics"
	t.cookie, err = signIn(ctx, "http://"+t.addr, "/_gate/login")
	return err
}

// token matches the CSRF token of a login form.
var token = regexp.MustCompile(`name="csrf_token" value="([^"]*)"`)

// signIn signs alice in as a browser does, and returns the header Cookie of the
// requests that follow.
func signIn(ctx context.Context, base, path string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := browser(jar)
	defer client.CloseIdleConnections()
	page, err := get(ctx, client, base+path, "")
	if err != nil {
		return "", fmt.Errorf("get the login page: %w", err)
	}
	form := url.Values{"username": {"alice"}, "password": {password}}
	if m := token.FindStringSubmatch(page.body); m != nil {
		form.Set("csrf_token", html.UnescapeString(m[1]))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if resp.StatusCode/100 != 3 {
		return "", fmt.Errorf("sign in: status %d\n%s", resp.StatusCode, body)
	}
	site, err := url.Parse(base + "/1k")
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, c := range jar.Cookies(site) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if len(pairs) == 0 {
		return "", errors.New("sign in: there was no cookie")
	}
	return strings.Join(pairs, "; "), nil
}

// allocations returns how many objects the target has allocated so far; 0 when it
// has no metrics.
func (t *target) allocations(ctx context.Context) (float64, error) {
	if t.metrics == "" {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	counters, err := get(ctx, http.DefaultClient, t.metrics, "")
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	return metric(counters.body, "go_memstats_mallocs_total"), nil
}

// metric returns the value of a metric without labels in Prometheus' text format; 0
// when it is missing.
func metric(text, name string) float64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}
