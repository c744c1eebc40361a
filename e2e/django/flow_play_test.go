//go:build e2e

package django_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A flowSite is what a row is played against, with its administrator.
type flowSite interface {
	base() string               // scheme://host:port
	cookieName() string         // of the session's cookie
	path(target string) string  // where Django's page is found here
	form(url.Values) url.Values // the fields of a form as they are called here
	token(path string) (page, field string)
	restart(map[string]any)     // with other settings
	setPassword(user, p string) // p as accounts have it here
	setActive(user string, active bool)
	deleteUser(user string)
	stored() int
	clearSessions()
	account(user string) string // the account's name here
	header(b *flowBrowser, name, value string)
	dial(ctx context.Context, network, addr string) (net.Conn, error)

	// hold has the page that the browser asks for next begin, and wait until
	// release. begun returns when it has begun.
	hold(b *flowBrowser) (begun func())
	release(b *flowBrowser)
}

// A flow plays one row.
type flow struct {
	t        *testing.T
	row      flowRow
	site     flowSite
	at       int       // the step
	used     *sync.Map // names of rules
	browsers map[string]*flowBrowser
}

// A flowBrowser keeps cookies as long as they are not deleted: rows look at
// servers, and send cookies that browsers would have forgotten.
type flowBrowser struct {
	f       *flow
	mu      sync.Mutex // of cookies: one request may run beside the others
	cookies map[string]string
	headers http.Header
	host    string // "": that of the address
	started chan seen
	client  *http.Client
}

// seen is an answer, and what it changed.
type seen struct {
	step         string // method and path, in Django's names
	err          error
	status       int
	header       http.Header
	body         string
	keys, tokens [2]string // the session's id and the CSRF cookie, before and after
	cookie       *http.Cookie
}

func (f *flow) browser(name string) *flowBrowser {
	b := f.browsers[name]
	if b == nil {
		b = &flowBrowser{f: f, cookies: map[string]string{}, headers: http.Header{}, client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, DialContext: f.site.dial},
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		if _, ok := f.site.(*flowDjango); ok {
			b.host = flowOutside
		}
		f.browsers[name] = b
	}
	return b
}

func play(t *testing.T, row flowRow, used *sync.Map, site flowSite) {
	t.Helper()
	f := &flow{t: t, row: row, used: used, site: site, browsers: map[string]*flowBrowser{}}
	defer func() {
		for _, b := range f.browsers {
			b.client.CloseIdleConnections()
		}
	}()
	checkKnown(f.t, f.row.settings)
	for i, step := range f.row.steps {
		f.at = i
		got := f.step(step)
		if got.err != nil {
			f.t.Fatalf("step %d, %s: %v", i+1, step, got.err)
		}
		if f.row.expected[i] == "-" {
			continue
		}
		for want := range strings.SplitSeq(f.row.expected[i], " ") {
			name, want, _ := strings.Cut(want, "=")
			f.check(i, step, name, want, got)
		}
	}
}

func (f *flow) check(i int, step, name, django string, got seen) {
	f.t.Helper()
	want, rule := f.ours(step, name, django, got)
	value, err := f.value(name, want, got)
	switch {
	case err != nil:
		f.t.Errorf("step %d, %s: %s: %v", i+1, step, name, err)
	case value != want:
		f.t.Errorf("step %d, %s: %s is %q, want %q (Django: %q, rule %q); status %d, %v\n%.600s", i+1, step, name, value, want, django, rule, got.status, got.header, got.body)
	case rule != "":
		f.t.Logf("step %d, %s: %s is %q, not Django's %q: %s", i+1, step, name, want, django, rule)
	}
}

// step does one step.
func (f *flow) step(step string) seen {
	f.t.Helper()
	words := strings.SplitN(step, " ", 4)
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "SETPW":
		f.site.setPassword(f.site.account(arg(1)), flowPassword(arg(2)))
	case "DEACTIVATE", "ACTIVATE":
		f.site.setActive(f.site.account(arg(1)), words[0] == "ACTIVATE")
	case "DELUSER":
		f.site.deleteUser(f.site.account(arg(1)))
	case "STORED":
	case "CLEARSESSIONS":
		f.site.clearSessions()
	case "SLEEP":
		n, err := strconv.ParseFloat(arg(1), 64)
		if err != nil {
			f.t.Fatalf("%s: %v", step, err)
		}
		time.Sleep(time.Duration(n * float64(time.Second))) // the row's clock
	case "RESTART":
		if err := change(f.row.settings, strings.TrimPrefix(step, "RESTART")); err != nil {
			f.t.Fatalf("%s: %v", step, err)
		}
		checkKnown(f.t, f.row.settings)
		f.site.restart(f.row.settings)
	default:
		return f.browse(f.browser(words[0]), step, arg(1), strings.TrimPrefix(step, words[0]+" "+arg(1)))
	}
	return seen{}
}

// browse does what a visitor does.
func (f *flow) browse(b *flowBrowser, step, verb, rest string) seen {
	f.t.Helper()
	rest = strings.TrimPrefix(rest, " ")
	target, form, _ := strings.Cut(rest, " ")
	switch verb {
	case "GET":
		return b.send(http.MethodGet, target, nil, true)
	case "POST", "POSTNOCSRF":
		fields, err := url.ParseQuery(form)
		if err != nil {
			f.t.Fatalf("%s: %v", step, err)
		}
		return b.send(http.MethodPost, target, fields, verb == "POST")
	case "LOGIN":
		words := append(strings.SplitN(rest, " ", 3), "", "")
		target := "/login/"
		if words[2] != "" {
			target += "?next=" + url.QueryEscape(words[2])
		}
		return b.send(http.MethodPost, target, url.Values{"username": {words[0]}, "password": {words[1]}}, true)
	case "LOGOUT":
		target := "/logout/"
		if rest != "" {
			target += "?next=" + url.QueryEscape(rest)
		}
		return b.send(http.MethodPost, target, nil, true)
	case "STEALS":
		b.cookies[f.site.cookieName()] = f.browser(rest).cookie(f.site.cookieName())
	case "COOKIE":
		b.cookies[f.site.cookieName()] = f.cookieValue(rest)
	case "HEADER":
		name, value, _ := strings.Cut(rest, "=")
		f.site.header(b, name, value)
	case "START":
		b.started = make(chan seen, 1)
		begun := f.site.hold(b)
		go func() { b.started <- b.send(http.MethodGet, rest, nil, true) }()
		begun()
	case "JOIN":
		f.site.release(b)
		return <-b.started
	default:
		f.t.Fatalf("the step %q is not known", step)
	}
	return seen{}
}

// send makes a request to Django's page as it is found here, with a token
// where it is a form of ours.
func (b *flowBrowser) send(method, target string, form url.Values, token bool) (got seen) {
	got.step = method + " " + target
	path := b.f.site.path(target)
	got.keys[0] = keyOfCookie(b.cookie(b.f.site.cookieName()))
	var body url.Values
	if method == http.MethodPost {
		body = b.f.site.form(form)
		page, field := b.f.site.token(path)
		if _, django := b.f.site.(*flowDjango); django && token && b.csrf() != "" {
			body[field] = []string{b.csrf()}
		} else if token && page != "" {
			var err error
			if body[field], err = b.token(page, field); err != nil {
				return seen{err: err}
			}
		}
	}
	got.tokens[0] = b.csrf()
	var cookies []*http.Cookie
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		got.status, got.header, got.body, cookies, got.err = b.request(method, path, body)
		if got.status != http.StatusTooManyRequests || time.Now().After(deadline) {
			break // else too many rows sign in at once: the machine is busy with their passwords
		}
	}
	for _, c := range cookies {
		if c.Name == b.f.site.cookieName() {
			got.cookie = c
		}
	}
	got.keys[1], got.tokens[1] = keyOfCookie(b.cookie(b.f.site.cookieName())), b.csrf()
	return got
}

// token takes the CSRF token from the page that has the form. None is no
// error: who is not signed in has no form to sign out.
func (b *flowBrowser) token(page, field string) ([]string, error) {
	_, _, body, _, err := b.request(http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	found := regexp.MustCompile(`name="?` + field + `"?\s+value="?([^">]+)`).FindStringSubmatch(body)
	if found == nil {
		return nil, nil
	}
	return []string{html.UnescapeString(found[1])}, nil
}

func (b *flowBrowser) request(method, path string, form url.Values) (int, http.Header, string, []*http.Cookie, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.f.t.Context(), method, b.f.site.base()+path, body)
	if err != nil {
		return 0, nil, "", nil, err
	}
	req.Header = b.headers.Clone()
	req.Host = b.host
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	b.mu.Lock()
	for name, value := range b.cookies {
		req.Header.Add("Cookie", name+"="+value)
	}
	b.mu.Unlock()
	if lines := req.Header["Cookie"]; len(lines) > 1 {
		req.Header["Cookie"] = []string{strings.Join(lines, "; ")}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, nil, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return resp.StatusCode, resp.Header, string(text), resp.Cookies(), err
}

// cookie is the value of the cookie of the name, "" when there is none.
func (b *flowBrowser) cookie(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cookies[name]
}

// csrf is the value of the CSRF cookie.
func (b *flowBrowser) csrf() string {
	if _, django := b.f.site.(*flowDjango); django {
		return b.cookie("legacycsrftoken")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, value := range b.cookies {
		if strings.HasSuffix(name, "_csrf") {
			return value
		}
	}
	return ""
}

// keyOfCookie is the id in a cookie: a new signature makes no new session.
func keyOfCookie(cookie string) string {
	raw, err := base64.URLEncoding.DecodeString(cookie)
	parts := strings.SplitN(string(raw), "|", 3)
	if err != nil || len(parts) < 3 {
		return cookie
	}
	if _, err := strconv.ParseInt(parts[0], 10, 64); err != nil {
		return cookie
	}
	return parts[1]
}

// A key of Django's is base64 as well, and one in two hundred decodes to something
// with two bars in it.
func TestAKeyOfDjangosIsNoCookieOfOurs(t *testing.T) {
	const key = "lyoivr29j1ips3x8xgqr4mv501u8yp22"
	if got := keyOfCookie(key); got != key {
		t.Errorf("the key is taken for %q", got)
	}
	ours := base64.URLEncoding.EncodeToString([]byte("1795938495|the id|the signature"))
	if got := keyOfCookie(ours); got != "the id" {
		t.Errorf("the id of a cookie of ours is taken for %q", got)
	}
}

// value gives what a check looks at, as the file writes it.
func (f *flow) value(name, want string, got seen) (string, error) {
	c := got.cookie
	if c == nil {
		c = new(http.Cookie)
	}
	yesNo := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	switch name {
	case "status":
		return strconv.Itoa(got.status), nil
	case "location":
		return got.header.Get("Location"), nil
	case "cookie":
		return cookieFate(got.cookie), nil
	case "key":
		return changeOf(got.keys), nil
	case "csrf":
		if changeOf(got.tokens) == "new" {
			return "new", nil
		}
		return "same", nil
	case "vary":
		return yesNo(strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Cookie")), nil
	case "nostore":
		return yesNo(strings.Contains(got.header.Get("Cache-Control"), "no-store")), nil
	case "maxage":
		switch {
		case c.MaxAge < 0:
			return "0", nil
		case c.MaxAge == 0:
			return "none", nil
		}
		return strconv.Itoa(c.MaxAge), nil
	case "expires":
		return yesNo(c.RawExpires != ""), nil
	case "httponly":
		return yesNo(c.HttpOnly), nil
	case "secure":
		return yesNo(c.Secure), nil
	case "samesite":
		return map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None", 0: "-"}[c.SameSite], nil
	case "path", "domain":
		return orDash(map[string]string{"path": c.Path, "domain": c.Domain}[name]), nil
	case "stored":
		return strconv.Itoa(f.site.stored()), nil
	case "has":
		if strings.Contains(got.body, want) {
			return want, nil
		}
		return "nothing of it", nil
	case "user", "result", "data", "n", "worked", "age", "browser":
		return field(name, want, got)
	}
	return "", errors.New("the check is not known")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func cookieFate(c *http.Cookie) string {
	switch {
	case c == nil:
		return "none"
	case c.MaxAge < 0:
		return "del"
	}
	return "set"
}

func changeOf(pair [2]string) string {
	switch pair[1] {
	case "":
		return "none"
	case pair[0]:
		return "same"
	}
	return "new"
}

// field reads a field of a JSON page. Who is sent to the login page is nobody.
func field(name, want string, got seen) (string, error) {
	if name == "user" && (got.status == http.StatusFound || got.status == http.StatusUnauthorized) {
		return "null", nil
	}
	var page map[string]any
	if err := json.Unmarshal([]byte(got.body), &page); err != nil {
		return "", fmt.Errorf("status %d, no JSON: %.200q", got.status, got.body)
	}
	v := page[name]
	switch v := v.(type) {
	case string:
		return v, nil
	case float64:
		// Seconds that are left have become a little fewer meanwhile.
		if n, err := strconv.ParseFloat(want, 64); err == nil && name == "age" && math.Abs(n-v) <= 1 {
			return want, nil
		}
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// flowSecret makes a key of a word.
func flowSecret(word string) string {
	sum := sha256.Sum256([]byte(word))
	return base64.StdEncoding.EncodeToString(sum[:])
}
