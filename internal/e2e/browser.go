package e2e

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A Browser is the client of one person: it has cookies and connections of its
// own, and sends the headers that browsers send. It never follows a redirect.
type Browser struct {
	Client *http.Client
	Jar    *cookiejar.Jar
	Base   string // scheme://host

	t    testing.TB
	gate *Gate
}

// An Answer is a response whose body was read to its end.
type Answer struct {
	Status  int
	Proto   string
	Header  http.Header
	Trailer http.Header
	Body    string
	Length  int64 // Content-Length; -1: unknown
	Err     error // of reading the body; nil: it is complete
}

// JSON decodes the body. The status has to be 200.
func (a Answer) JSON(tb testing.TB, into any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(a.Body), into); err != nil || a.Status != http.StatusOK {
		tb.Fatalf("status %d, %v\n%s", a.Status, err, a.Body)
	}
}

// Location returns the header Location as it was sent; "" when there is none.
func (a Answer) Location() string { return a.Header.Get("Location") }

// Browser returns a new Browser without cookies.
func (g *Gate) Browser(tb testing.TB) *Browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	b := &Browser{t: tb, gate: g, Jar: jar, Base: g.Mode.Scheme() + "://" + Host, Client: &http.Client{
		Transport:     g.transport(),
		Jar:           jar,
		Timeout:       2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	tb.Cleanup(b.Client.CloseIdleConnections)
	return b
}

// transport returns an http.Transport that connects to the gate whatever the host
// is.
func (g *Gate) transport() *http.Transport {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, g.Addr)
		},
		DisableCompression: true,
		ForceAttemptHTTP2:  g.Mode.HTTP2,
	}
	if g.Mode.TLS {
		tr.TLSClientConfig = g.CA.Client()
	}
	if g.Mode.TLS && !g.Mode.HTTP2 {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetHTTP1(true)
	}
	return tr
}

// Request returns a request to be sent with Send. target is a path or a URL.
// Each of headers is "Name: value" and keeps its spelling; "Host: name" sets the
// host.
func (b *Browser) Request(method, target string, body io.Reader, headers ...string) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.Base + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header[name] = append(req.Header[name], value) // in the spelling given
	}
	return req
}

// Send sends a request and reads the whole answer. Without an answer the test
// fails; an incomplete one has Err.
func (b *Browser) Send(req *http.Request) Answer {
	b.t.Helper()
	a, err := b.Try(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return a
}

// Try is Send for requests that may get no answer: that is the error.
func (b *Browser) Try(req *http.Request) (Answer, error) {
	resp, err := b.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Proto, resp.Header, resp.Trailer, string(body), resp.ContentLength, err}, nil
}

// Stream sends a request and returns the body of the answer without reading it.
// It is closed at the end of the test.
func (b *Browser) Stream(req *http.Request) io.Reader {
	b.t.Helper()
	resp, err := b.Client.Do(req) //nolint:gosec // to the gate under test
	if err != nil {
		b.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp.Body
}

// TrySubmit fills in the form on a page of the gate, sends it to the same path,
// and returns the status. It is for a gate that may be killed meanwhile: 0 means
// that there was no answer.
func (b *Browser) TrySubmit(page string, form url.Values) (status int) {
	shown, err := b.Try(b.Request(http.MethodGet, page, nil, Navigation()...))
	if err != nil {
		return 0
	}
	found := tokenField.FindStringSubmatch(shown.Body)
	if found == nil {
		return 0
	}
	form.Set("csrf_token", html.UnescapeString(found[1]))
	h := append(Navigation(), "Origin: "+b.Base, "Content-Type: application/x-www-form-urlencoded")
	sent, err := b.Try(b.Request(http.MethodPost, page, strings.NewReader(form.Encode()), h...))
	if err != nil {
		return 0
	}
	return sent.Status
}

// Do sends a request with the given headers alone, as a program does.
func (b *Browser) Do(method, target string, body io.Reader, headers ...string) Answer {
	b.t.Helper()
	return b.Send(b.Request(method, target, body, headers...))
}

// Visit sends the request of a navigation, as a link or the address bar does.
func (b *Browser) Visit(target string, headers ...string) Answer {
	b.t.Helper()
	return b.Do(http.MethodGet, target, nil, append(Navigation(), headers...)...)
}

// Fetch sends the request of a script in a page of the same site.
func (b *Browser) Fetch(target string, headers ...string) Answer {
	b.t.Helper()
	return b.Do(http.MethodGet, target, nil, append([]string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin", "Accept: */*"}, headers...)...)
}

// Submit sends a form from a page of the same site.
func (b *Browser) Submit(target string, form url.Values, headers ...string) Answer {
	b.t.Helper()
	h := append(Navigation(), "Origin: "+b.Base, "Content-Type: application/x-www-form-urlencoded")
	return b.Do(http.MethodPost, target, strings.NewReader(form.Encode()), append(h, headers...)...)
}

// Navigation returns the headers of a browser that opens a page.
func Navigation() []string {
	return []string{
		"Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode: navigate",
		"Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin",
	}
}

var tokenField = regexp.MustCompile(`name="?csrf_token"?\s+value="?([^">]+)`)

// Token returns the CSRF token in the form of a page.
func (b *Browser) Token(page Answer) string {
	b.t.Helper()
	found := tokenField.FindStringSubmatch(page.Body)
	if found == nil {
		b.t.Fatalf("no csrf_token on the page (status %d):\n%s", page.Status, page.Body)
	}
	return html.UnescapeString(found[1])
}

// TryLogin opens the login page, sends its form, and returns the answer.
func (b *Browser) TryLogin(name, password, next string) Answer {
	b.t.Helper()
	b.gate.keepOut(password)
	page := b.Visit("/_gate/login?next=" + url.QueryEscape(next))
	answer := b.Submit("/_gate/login", url.Values{
		"username": {name}, "password": {password}, "next": {next}, "csrf_token": {b.Token(page)},
	})
	if c := b.Cookie(); c != "" {
		b.gate.keepOut(c)
	}
	return answer
}

// Login signs in, and fails the test when that is refused.
func (b *Browser) Login(name, password string) {
	b.t.Helper()
	if a := b.TryLogin(name, password, "/after"); a.Status != http.StatusSeeOther || a.Location() != "/after" {
		b.t.Fatalf("login of %s: status %d, Location %q\n%s", name, a.Status, a.Location(), a.Body)
	}
}

// Logout signs out, and fails the test when that is refused.
func (b *Browser) Logout() {
	b.t.Helper()
	page := b.Visit("/_gate/logout")
	if a := b.Submit("/_gate/logout", url.Values{"csrf_token": {b.Token(page)}}); a.Status != http.StatusSeeOther {
		b.t.Fatalf("logout: status %d\n%s", a.Status, a.Body)
	}
}

// Cookie returns the value of the session's cookie; "" when there is none.
func (b *Browser) Cookie() string {
	u, _ := url.Parse(b.Base)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == b.gate.Mode.Cookie {
			return c.Value
		}
	}
	return ""
}

// CookieLine returns the session's cookie as it stands in the header Cookie.
func (b *Browser) CookieLine() string { return b.gate.Mode.Cookie + "=" + b.Cookie() }

// SignedInAs returns the user whom the gate takes this browser for; "": nobody.
func (b *Browser) SignedInAs() string {
	b.t.Helper()
	a := b.Fetch("/_gate/session")
	if a.Status != http.StatusOK {
		b.t.Fatalf("/_gate/session: status %d\n%s", a.Status, a.Body)
	}
	return sessionUser(b.t, a.Body)
}

// With copies the cookies that another browser has now, and returns b.
func (b *Browser) With(other *Browser) *Browser {
	u, _ := url.Parse(b.Base)
	b.Jar.SetCookies(u, other.Jar.Cookies(u))
	return b
}

// sessionUser returns the user in the JSON of /_gate/session; "": nobody.
func sessionUser(tb testing.TB, body string) string {
	tb.Helper()
	var s struct {
		Authenticated bool
		User          any
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		tb.Fatalf("/_gate/session: %v\n%s", err, body)
	}
	if !s.Authenticated {
		return ""
	}
	if name, ok := s.User.(string); ok {
		return name
	}
	tb.Fatalf("/_gate/session: user is not a name:\n%s", body)
	return ""
}
