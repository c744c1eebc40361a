package proxy

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"gatehouse/access"
	"gatehouse/internal/e2e"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/value"
	"gatehouse/proxy/form"
)

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data; boundary=b"
)

// A rails is an application that takes the method of a form from its field
// _method, once it has read all of the body.
type rails struct {
	mu      sync.Mutex
	methods []string // as which requests were served
}

func (a *rails) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseMultipartForm(1 << 20); err != nil && r.PostForm == nil { //nolint:gosec // G120: all of the body is there
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	method := r.Method
	if m := r.PostForm.Get("_method"); m != "" {
		method = strings.ToUpper(m)
	}
	a.mu.Lock()
	a.methods = append(a.methods, method)
	a.mu.Unlock()
	_, _ = w.Write(body)
}

func (a *rails) served() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := strings.Join(a.methods, " ")
	a.methods = nil
	return list
}

// onlyAdminsDelete are rules that look at the method.
func onlyAdminsDelete(c *RouteConfig) {
	c.Access = []access.RuleConfig{{Path: "/open", Methods: []string{"POST"}, Public: true}, {Methods: []string{"DELETE"}, Groups: []string{"admins"}}, {}}
}

// post sends a form for somebody; "": for nobody.
func (h *house) post(t *testing.T, c *http.Client, who, path, contentType string, body io.Reader) (status int, answer string) {
	t.Helper()
	req := h.request(t, http.MethodPost, path, body)
	req.Header.Del("Cookie")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if who != "" {
		req.Header.Set("Cookie", ourCookie+"="+who)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(res.Body)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// unmeasured hides the length of a body, and gives it byte by byte if it is small.
func unmeasured(body string) io.Reader {
	if len(body) < 1000 {
		return iotest.OneByteReader(strings.NewReader(body))
	}
	return struct{ io.Reader }{strings.NewReader(body)}
}

func part(name, value string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// Rails, Laravel and Symfony take another method from the body: a rule for
// that one counts, and they never have the whole of such a form.
func TestMethodOverrideInTheBodyGetsPastNoRule(t *testing.T) {
	t.Parallel()
	file := part("file", strings.Repeat("all work and no play ", 20_000))
	forms := []struct {
		contentType, body string
		want              int
	}{
		{formType, "_method=DELETE", 403},
		{formType, "a=b&_method=delete&c=d", 403},
		{formType, "a=" + strings.Repeat("x", 200_000) + "&%5Fmethod=%44elete+", 403},
		{formType, "_method=delete&a=" + strings.Repeat("x", 200_000), 403},
		{formType, "_method=put&_method=delete", 403},
		{formType + "; charset=UTF-8", ".method=delete", 403},
		{formType, "x-http-method-override=delete", 403},
		{formType, "_method=TRACE", 400},
		{formType, "_method=delete%00", 400},
		{formType, "_method=PUT&a=b", 200},
		{formType, "_method=&my_method=delete&q=_method%3Ddelete", 200},
		{formType, "a=" + strings.Repeat("x", 200_000) + "&_method=patch", 200},
		{multipartType, part("a", "b") + part("_method", "delete") + "--b--\r\n", 403},
		{multipartType, file + part("_method", "DELETE") + "--b--\r\n", 403},
		{multipartType, part("_method", "DELETE") + file + "--b--\r\n", 403},
		{multipartType, part("_method", "put") + file + part("q", "_method=delete") + "--b--\r\n", 200},
		{"application/json", `{"_method":"delete"}`, 403},
		{"text/plain", "_method=DELETE", 200},
		{"", "_method=DELETE", 403},
	}
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		for _, buffered := range []value.Size{0, 1 << 20} {
			app := &rails{}
			h := behind(t, s, app.ServeHTTP, onlyAdminsDelete, func(c *RouteConfig) { c.BufferBody = buffered })
			client := h.client(t)
			for _, f := range forms {
				for how, body := range map[string]io.Reader{"with a length": strings.NewReader(f.body), "without": unmeasured(f.body)} {
					status, answer := h.post(t, client, "alice", "/x", f.contentType, body)
					served := app.served()
					if status != f.want || status == 200 && (answer != f.body || served == "DELETE") || status != 200 && served != "" {
						t.Errorf("buffer_body %v, %s %.40q %s: %d, served as %q, want %d", buffered, f.contentType, f.body, how, status, served, f.want)
					}
				}
			}
			if status, _ := h.post(t, client, "root", "/x", formType, strings.NewReader("_method=delete")); status != 200 || app.served() != "DELETE" {
				t.Errorf("who may delete: %d", status)
			}
			if log := h.log.String(); !strings.Contains(log, "access.denied") || strings.Contains(log, "_method") {
				t.Errorf("log: %s", log)
			}
		}
	})
}

// A form that anybody may send tells who has to be known for what it names.
func TestMethodOverrideInTheBodyOfAPublicForm(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		app := &rails{}
		h := behind(t, s, app.ServeHTTP, onlyAdminsDelete)
		client := h.client(t)
		for who, want := range map[string]int{"": http.StatusSeeOther, "alice": http.StatusForbidden, "root": http.StatusOK} {
			if status, _ := h.post(t, client, who, "/open", formType, strings.NewReader("_method=delete")); status != want {
				t.Errorf("%q deletes: %d, want %d", who, status, want)
			}
			if served := app.served(); (served == "DELETE") != (who == "root") {
				t.Errorf("%q: served as %q", who, served)
			}
		}
		asked := h.gate.looked()
		if status, _ := h.post(t, client, "", "/open", formType, strings.NewReader("a=b")); status != http.StatusOK || h.gate.looked() != asked {
			t.Errorf("a plain form: %d", status)
		}
	})
}

// A form whose fields cannot be seen is refused where they might matter, and
// nowhere else.
func TestFormThatCannotBeReadIsRefused(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "_method=DELETE")
	_ = z.Close()
	up := record(t, okAnswer)
	c := fixture(up.url())
	open1 := open(t, setting{}, c)
	onlyAdminsDelete(&c)
	ruled := open(t, setting{}, c)
	for lines, want := range map[string]string{
		"Content-Type: " + formType + "\r\nContent-Encoding: gzip\r\n":                    "415",
		"Content-Type: multipart/form-data; boundary=b\r\nContent-Encoding: br\r\n":       "415",
		"Content-Type: " + formType + "; charset=IBM037\r\n":                              "415",
		"Content-Type: " + formType + "; charset=\"UTF-16\"; charset=utf-8\r\n":           "415",
		"Content-Type: " + formType + "; charset=utf-8\r\nContent-Encoding: identity\r\n": "200",
		"Content-Type: application/json\r\nContent-Encoding: gzip\r\n":                    "200",
		"Content-Type: application/gzip\r\n":                                              "200",
	} {
		request := "POST /x HTTP/1.1\r\nHost: " + host + "\r\n" + aliceLine + lines + "Connection: close\r\nContent-Length: " + strconv.Itoa(packed.Len()) + "\r\n\r\n" + packed.String()
		up.forget()
		if got := status(ruled.raw(t, request)); got != want {
			t.Errorf("%q: %s, want %s", lines, got, want)
		}
		if want == "415" {
			up.empty(t)
		}
		if got := status(open1.raw(t, request)); got != "200" {
			t.Errorf("%q without a rule for a method: %s", lines, got)
		}
	}
}

// An application that is content with half a body does not find the field in
// it, wherever the visitor stops.
func TestHalfAFormNamesNoMethod(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		up := record(t, okAnswer)
		c := fixture(up.url())
		onlyAdminsDelete(&c)
		h := open(t, s, c)
		for i, half := range []string{"_method=DELETE", "_method=DEL"} {
			up.forget()
			conn := h.dial(t)
			_, _ = fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: 100000\r\n\r\na=b&%s", host, aliceLine, formType, half)
			e2e.Eventually(t, func() error {
				if list := up.seen(); len(list) != 1 || !strings.HasSuffix(list[0], "a=b&_method=") {
					return fmt.Errorf("upstream saw %q", list)
				}
				return nil
			})
			time.Sleep(20 * time.Millisecond) // for what must not come
			_ = conn.Close()
			e2e.Eventually(t, func() error {
				if log := h.log.String(); strings.Count(log, "msg=request") != i+1 {
					return fmt.Errorf("log: %s", log)
				}
				return nil
			})
			if request := up.one(t); !strings.HasSuffix(request, "_method=") {
				t.Errorf("upstream saw %q", request)
			}
		}
	})
}

// Browsers send all of a large form before they look at the answer.
func TestLargeFormGetsItsAnswer(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		app := &rails{}
		h := behind(t, s, app.ServeHTTP, onlyAdminsDelete)
		body := "_method=delete&a=" + strings.Repeat("x", 3<<20)
		for line, want := range map[string]string{aliceLine: "403", "Cookie: " + ourCookie + "=root\r\n": "200"} {
			answer := h.raw(t, fmt.Sprintf("POST /x HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", host, line, formType, len(body), body))
			if got := status(answer); got != want {
				t.Errorf("%s: %s, want %s", line, got, want)
			}
		}
	})
}

// What passes is what came, byte by byte; of what does not, the last byte and
// the value that names the method stay behind.
func FuzzFormBody(f *testing.F) {
	f.Add("a=b&_method=put&c=d", byte(3), byte(5))
	f.Add("_method=DELETE", byte(1), byte(1))
	f.Add("_method=+++&_method=DELE&x=_method", byte(7), byte(2))
	c := fixture("http://127.0.0.1:1")
	onlyAdminsDelete(&c)
	h := open(f, setting{}, c)
	hr := h.proxy.table.find(httpfield.Host{Name: host, Text: host})
	f.Fuzz(func(t *testing.T, text string, piece, room byte) {
		q, err := newDecisionInput(hr, "/x", access.Facts{Method: "POST"})
		if err != nil {
			t.Fatal(err)
		}
		b := &formBody{
			ReadCloser: io.NopCloser(&piecemeal{text: text, size: 1 + int(piece)}), p: h.proxy, question: *q, allowed: access.Allow, who: &access.Who{Name: "alice"},
			asked: true, fields: form.New(nil, isMethodParameter), left: int64(len(text)) - int64(piece%2)*int64(len(text)+1),
		}
		var got []byte
		for p := make([]byte, 1+int(room)); err == nil; {
			var n int
			n, err = b.Read(p)
			got = append(got, p[:n]...)
		}
		switch {
		case b.refusal == nil && (!errors.Is(err, io.EOF) || string(got) != text):
			t.Errorf("%q: passed on %q, %v", text, got, err)
		case b.refusal != nil && (!errors.Is(err, errFormRefused) || len(got) >= len(text) || !strings.HasPrefix(text, string(got))):
			t.Errorf("%q: passed on %q, %v", text, got, err)
		}
		if values, err := url.ParseQuery(text); err == nil && strings.EqualFold(strings.TrimSpace(values.Get("_method")), "DELETE") {
			if values, _ := url.ParseQuery(string(got)); b.refusal == nil || strings.TrimSpace(values.Get("_method")) != "" {
				t.Errorf("%q: passed on %q", text, got)
			}
		}
	})
}

// piecemeal gives a text in pieces of one size.
type piecemeal struct {
	text string
	size int
}

func (p *piecemeal) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.size, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}
