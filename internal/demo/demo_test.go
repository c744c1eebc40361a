package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

func Example() {
	s := httptest.NewServer(New())
	defer s.Close()
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/headers", nil)
	req.Header.Set("X-Forwarded-User", "alice")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	var seen struct{ User, Method string }
	_ = json.NewDecoder(resp.Body).Decode(&seen)
	fmt.Println(seen.User, seen.Method)
	// Output: alice GET
}

func start(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(New())
	t.Cleanup(s.Close)
	return s.URL
}

// answer is what came back, read to its end.
type answer struct {
	StatusCode    int
	ContentLength int64
	Header        http.Header
}

// do sends a request as alice<b> and returns the answer with its body.
func do(t *testing.T, method, target, mime string, body io.Reader) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-User", "alice<b>")
	if mime != "" {
		req.Header.Set("Content-Type", mime)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer of %s: %v", target, err)
	}
	return answer{resp.StatusCode, resp.ContentLength, resp.Header}, string(got)
}

func TestPages(t *testing.T) {
	url := start(t)
	for path, want := range map[string]string{
		"/":               "The gate says you are alice&lt;b&gt;",
		"/form":           "<form method=\"post\"",
		"/upload":         "multipart/form-data",
		"/live":           "Server-sent events",
		"/slow?s=0":       "took 0s",
		"/spoof":          "Spoof yourself",
		"/admin":          "For administrators",
		"/public":         "Anybody may see",
		"/app.css":        "color-scheme",
		"/app.js":         "use strict",
		"/headers?a=b;%c": `"target": "/headers?a=b;%c"`,
	} {
		t.Run(path, func(t *testing.T) {
			resp, body := do(t, http.MethodGet, url+path, "", nil)
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("status %d, want 200 and %q in:\n%s", resp.StatusCode, want, body)
			}
			if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q, want no-store: the back button must show nothing", got)
			}
			if strings.Contains(body, "https://") || strings.Contains(body, "alice<b>") {
				t.Errorf("foreign resource or unescaped name in:\n%s", body)
			}
		})
	}
}

func TestFormIsEchoedEscaped(t *testing.T) {
	sent := url.Values{"subject": {"<script>"}, "text": {"a&b"}}
	resp, body := do(t, http.MethodPost, start(t)+"/form", "application/x-www-form-urlencoded", strings.NewReader(sent.Encode()))
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "<td>&lt;script&gt;</td>") || !strings.Contains(body, "<td>a&amp;b</td>") {
		t.Errorf("status %d, body:\n%s", resp.StatusCode, body)
	}
}

func TestFormTooBig(t *testing.T) {
	resp, _ := do(t, http.MethodPost, start(t)+"/form", "application/x-www-form-urlencoded", strings.NewReader("a="+strings.Repeat("x", maxForm)))
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", resp.StatusCode)
	}
}

func TestUpload(t *testing.T) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, _ := form.CreateFormFile("file", "a.bin")
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	_, _ = part.Write(content)
	_ = form.WriteField("note", "not a file")
	_ = form.Close()
	sum := sha256.Sum256(content)

	_, page := do(t, http.MethodPost, start(t)+"/upload", form.FormDataContentType(), &body)
	for _, want := range []string{"<td>a.bin</td>", "<td>1000000</td>", hex.EncodeToString(sum[:])} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in:\n%s", want, page)
		}
	}
}

func TestUploadOfSomethingElse(t *testing.T) {
	resp, _ := do(t, http.MethodPost, start(t)+"/upload", "text/plain", strings.NewReader("x"))
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d, want 400", resp.StatusCode)
	}
}

func TestDownload(t *testing.T) {
	url := start(t)
	resp, body := do(t, http.MethodGet, url+"/download?n=100000", "", nil)
	if len(body) != 100_000 || resp.ContentLength != 100_000 || !strings.HasPrefix(body, "abcdefghijklmnopa") {
		t.Errorf("%d bytes with Content-Length %d", len(body), resp.ContentLength)
	}
	resp, body = do(t, http.MethodGet, url+"/download?n=100000&length=0", "", nil)
	if len(body) != 100_000 || resp.ContentLength != -1 {
		t.Errorf("without a length: %d bytes with Content-Length %d", len(body), resp.ContentLength)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/download?n=1000", nil)
	req.Header.Set("Range", "bytes=17-18")
	ranged, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ranged.Body.Close() }()
	if got, _ := io.ReadAll(ranged.Body); ranged.StatusCode != http.StatusPartialContent || string(got) != "bc" {
		t.Errorf("range: status %d, body %q", ranged.StatusCode, got)
	}
}

func TestEvents(t *testing.T) {
	_, body := do(t, http.MethodGet, start(t)+"/events?n=2&every=1", "", nil)
	if want := "id: 1\ndata: event 1 for alice<b>\n\nid: 2\ndata: event 2 for alice<b>\n\n"; body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

func TestEventsComeAtOnce(t *testing.T) {
	resp, err := http.Get(start(t) + "/events?every=60000") //nolint:noctx // closed below, which ends it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "id: 1\n" {
		t.Errorf("first line %q, error %v", line, err)
	}
}

func TestEcho(t *testing.T) {
	header := http.Header{"X-Forwarded-User": {"alice"}}
	conn, _, err := websocket.Dial(t.Context(), start(t)+"/echo", &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the library owns it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.Read(t.Context()); string(got) != "alice: hello" {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestBrokenIsSeenAsBroken(t *testing.T) {
	resp, err := http.Get(start(t) + "/broken") //nolint:noctx // ends by itself, which is the subject
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes read without an error", len(got))
	}
}

func TestSlowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := httptest.NewRecorder()
		New().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/slow?s=3600", nil))
		if !strings.Contains(rec.Body.String(), "took 30s") {
			t.Errorf("got %s", rec.Body)
		}
	})
}
