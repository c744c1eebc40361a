package web_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/web"
)

func TestRequestsThatContradictThemselves(t *testing.T) {
	tests := []struct {
		name   string
		proto  int
		length int64 // as net/http read it
		header http.Header
		want   int // 0: well formed
	}{
		{"no length", 2, -1, http.Header{}, 0},
		{"a length", 2, 5, http.Header{"Content-Length": {"5"}}, 0},
		{"a leading zero", 2, 5, http.Header{"Content-Length": {"05"}}, 0},
		{"zero", 2, 0, http.Header{"Content-Length": {"0"}}, 0},
		{"no number", 2, 0, http.Header{"Content-Length": {"abc"}}, 400},
		{"nothing", 2, 0, http.Header{"Content-Length": {""}}, 400},
		{"a sign", 2, 0, http.Header{"Content-Length": {"+0"}}, 400},
		{"negative", 2, 0, http.Header{"Content-Length": {"-1"}}, 400},
		{"a list", 2, 0, http.Header{"Content-Length": {"3, 3"}}, 400},
		{"twice the same", 2, 3, http.Header{"Content-Length": {"3", "3"}}, 400},
		{"two that differ", 2, 3, http.Header{"Content-Length": {"3", "4"}}, 400},
		{"more than 63 bits", 2, 0, http.Header{"Content-Length": {"18446744073709551616"}}, 400},
		{"the stream ended with the header", 2, 0, http.Header{"Content-Length": {"5"}}, 400},
		{"host and authority", 2, -1, http.Header{"Host": {"EXAMPLE.com"}}, 0},
		{"another host", 2, -1, http.Header{"Host": {"evil.test"}}, 400},
		{"two hosts", 2, -1, http.Header{"Host": {"example.com", "example.com"}}, 400},
		{"continue", 1, 5, http.Header{"Expect": {"100-Continue"}}, 0},
		{"an empty expectation", 1, 5, http.Header{"Expect": {" , "}}, 0},
		{"another expectation", 1, 5, http.Header{"Expect": {"100-continue, 200-ok"}}, 417},
		{"another expectation over HTTP/2", 2, -1, http.Header{"Expect": {"200-ok"}}, 417},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "https://example.com/", http.NoBody)
			r.ProtoMajor, r.ContentLength, r.Header = tt.proto, tt.length, tt.header
			code := 0
			if err := web.WellFormed(httptest.NewRecorder(), r); err != nil {
				code = web.AsError(err).Code
			}
			if code != tt.want {
				t.Errorf("%d, want %d", code, tt.want)
			}
			if r.ProtoMajor == 2 && code == 0 && r.Header["Host"] != nil {
				t.Error("Host is still a field")
			}
		})
	}
}

// A body that goes on behind its announced length must not look whole to
// anybody on the way: its last bytes come together with the end, or never.
func TestABodyIsHeldToItsLength(t *testing.T) {
	tests := []struct {
		name, body string
		length     int64
		whole      bool
	}{
		{"as long as it says", "hello", 5, true},
		{"shorter", "hell", 5, false},
		{"longer", "hello!", 5, false},
		{"much longer", strings.Repeat("x", 100), 5, false},
	}
	for _, tt := range tests {
		for name, body := range map[string]io.Reader{"at once": strings.NewReader(tt.body), "byte by byte": &dribble{tt.body}} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				r := httptest.NewRequestWithContext(t.Context(), "POST", "https://example.com/", http.NoBody)
				r.ProtoMajor, r.ContentLength = 2, tt.length
				r.Header.Set("Content-Length", "5")
				r.Body = io.NopCloser(body)
				if err := web.WellFormed(httptest.NewRecorder(), r); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r.Body)
				if tt.whole != (err == nil) || tt.whole && string(got) != tt.body || !tt.whole && int64(len(got)) >= tt.length {
					t.Errorf("%q, %v", got, err)
				}
				if _, again := r.Body.Read(make([]byte, 1)); !tt.whole && (again == nil || errors.Is(again, io.EOF)) {
					t.Errorf("read again: %v", again)
				}
			})
		}
	}
}

// A dribble gives one byte at a time, and the end by itself.
type dribble struct{ left string }

func (d *dribble) Read(p []byte) (int, error) {
	if d.left == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], d.left)
	d.left = d.left[n:]
	return n, nil
}
