package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	tests := []struct {
		name   string
		head   string
		method string
		want   answer
		h      http.Header
	}{
		{
			"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n", "GET",
			answer{status: 200, length: 5},
			http.Header{"Content-Length": {"5"}, "X-A": {"b"}},
		},
		{
			"names become canonical, values lose outer space, lines stay apart",
			"HTTP/1.1 200 OK\r\ncontent-length:5\r\nset-cookie: \t a=b \t\r\nSET-COOKIE: c=d\r\nx_foo:\r\n\r\n", "GET",
			answer{status: 200, length: 5},
			http.Header{"Content-Length": {"5"}, "Set-Cookie": {"a=b", "c=d"}, "X_foo": {""}},
		},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", "GET", answer{status: 200, length: untilClose, chunked: true}, http.Header{}},
		{"until close", "HTTP/1.1 200 OK\r\n\r\n", "GET", answer{status: 200, length: untilClose, last: true}, http.Header{}},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET", answer{status: 200}, http.Header{"Content-Length": {"0"}}},
		{"HTTP/1.0 is not reused", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", "GET", answer{status: 200, length: 1, last: true}, http.Header{"Content-Length": {"1"}}},
		{"close", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: foo, Close\r\n\r\n", "GET", answer{status: 200, length: 1, last: true}, http.Header{"Content-Length": {"1"}}},
		{"HEAD has no body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", answer{status: 200}, http.Header{"Content-Length": {"5"}}},
		{"HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", answer{status: 200}, http.Header{}},
		{"304 has no body", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", answer{status: 304}, http.Header{"Content-Length": {"5"}}},
		{"204 has neither body nor length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "GET", answer{status: 204}, http.Header{}},
		{"unknown method has a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "BREW", answer{status: 200, length: 5}, http.Header{"Content-Length": {"5"}}},
		{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "GET", answer{status: 200, length: 5}, http.Header{"Content-Length": {"5"}}},
		{"folded line", "HTTP/1.1 200 OK\r\nX-A: a\r\n \t b\r\nContent-Length: 0\r\n\r\n", "GET", answer{status: 200}, http.Header{"X-A": {"a b"}, "Content-Length": {"0"}}},
		{"status 999", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", "GET", answer{status: 999}, http.Header{"Content-Length": {"0"}}},
		{
			"hop-by-hop and nominated fields go, before or after",
			"HTTP/1.1 200 OK\r\nX-Gone: 1\r\nConnection: x-gone, X-Too\r\nX-Too: 2\r\nKeep-Alive: timeout=5\r\nTrailer: X-T\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", "GET",
			answer{status: 200},
			http.Header{"Content-Length": {"0"}},
		},
		{
			"switch", "HTTP/1.1 101 x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n", "GET",
			answer{status: 101, upgrade: "WebSocket"},
			http.Header{},
		},
		{"event stream", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: 9\r\n\r\n", "GET", answer{status: 200, length: 9, stream: true}, http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}, "Content-Length": {"9"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			got, err := parseAnswer(tt.head, tt.method, nil, h)
			if err != nil {
				t.Fatal(err)
			}
			if got.reason = ""; got != tt.want { // TestReasonPhrasePasses looks at that
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if !reflect.DeepEqual(h, tt.h) {
				t.Errorf("header: got %v, want %v", h, tt.h)
			}
		})
	}
}

func TestParseAnswerLeavesTheCallersFieldsAlone(t *testing.T) {
	h := http.Header{"X-Request-Id": {"ours"}, "Strict-Transport-Security": {"max-age=1"}}
	head := "HTTP/1.1 200 OK\r\nConnection: Strict-Transport-Security\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n"
	if _, err := parseAnswer(head, "GET", []string{"X-Request-Id", "Strict-Transport-Security"}, h); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"X-Request-Id": {"ours"}, "Strict-Transport-Security": {"max-age=1"}, "Content-Length": {"0"}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
}

// badAnswers are refused by the parser of heads.
var badAnswers = map[string]string{
	"nothing":                     "\r\n\r\n",
	"other protocol":              "SSH-2.0-OpenSSH_9.9\r\n",
	"version 2":                   "HTTP/2.0 200 OK\r\n\r\n",
	"version 1.2":                 "HTTP/1.2 200 OK\r\n\r\n",
	"lower case":                  "http/1.1 200 OK\r\n\r\n",
	"two spaces":                  "HTTP/1.1  200 OK\r\n\r\n",
	"status of two digits":        "HTTP/1.1 99 x\r\n\r\n",
	"status 099":                  "HTTP/1.1 099 x\r\n\r\n",
	"status of four digits":       "HTTP/1.1 1000 x\r\n\r\n",
	"status with sign":            "HTTP/1.1 +20 x\r\n\r\n",
	"NUL in the reason":           "HTTP/1.1 200 O\x00K\r\n\r\n",
	"CR in the reason":            "HTTP/1.1 200 O\rK\r\n\r\n",
	"bare LF after status":        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
	"bare LF after field":         "HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 0\r\n\r\n",
	"bare LF at the end":          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
	"bare CR in a value":          "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\rSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
	"two CR before LF":            "HTTP/1.1 200 OK\r\nX-A: b\r\r\nContent-Length: 0\r\n\r\n",
	"NUL in a value":              "HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
	"DEL in a value":              "HTTP/1.1 200 OK\r\nX-A: a\x7fb\r\nContent-Length: 0\r\n\r\n",
	"no colon":                    "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 0\r\n\r\n",
	"empty name":                  "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
	"space before the colon":      "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
	"space in a name":             "HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
	"high byte in a name":         "HTTP/1.1 200 OK\r\nX\xff: b\r\nContent-Length: 0\r\n\r\n",
	"fold at the first field":     "HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 0\r\n\r\n",
	"two lengths":                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 50\r\n\r\nok",
	"list of lengths":             "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
	"negative length":             "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
	"length with plus":            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
	"hexadecimal length":          "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
	"empty length":                "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
	"overflowing length":          "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok",
	"overflowing length, wrapped": "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
	"length and chunked":          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"length and chunked, 204":     "HTTP/1.1 204 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	"coding gzip":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"coding identity":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
	"coding empty":                "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nok",
	"chunked twice":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunked in HTTP/1.0":         "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"head over 64 KiB":            "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHead) + "\r\nContent-Length: 0\r\n\r\n",
	"too many fields":             "HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", maxFields+1) + "\r\n",
	"too many folds":              "HTTP/1.1 200 OK\r\na: b\r\n" + strings.Repeat(" c\r\n", maxFields) + "\r\n",
	"101 that nobody asked for":   "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"too many interim answers":    strings.Repeat("HTTP/1.1 103 x\r\nLink: </x>\r\n\r\n", maxInterim+1),
	"interim answers too large":   strings.Repeat("HTTP/1.1 103 x\r\nLink: "+strings.Repeat("l", 9<<10)+"\r\n\r\n", 8),
	"chunk without size":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok",
	"chunk of size -1":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nok",
	"second chunk malformed":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\n",
}

func FuzzAnswer(f *testing.F) {
	for _, s := range badAnswers {
		if len(s) < 4096 {
			f.Add([]byte(s), "GET")
		}
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), "GET")
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX-T: 1\r\n\r\n"), "GET")
	f.Add([]byte("HTTP/1.0 200\r\nX-A: a\r\n b\r\n\r\nrest"), "HEAD")
	f.Fuzz(func(t *testing.T, b []byte, method string) {
		seen := 0
		end, err := headEnd(b, &seen)
		if err != nil || end == 0 {
			return
		}
		h := http.Header{}
		a, err := parseAnswer(string(b[:end]), method, nil, h)
		if err != nil || a.status == http.StatusSwitchingProtocols {
			return
		}
		body, complete := readAnswer(t, a, b[end:])
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), &http.Request{Method: method})
		if err != nil {
			return
		}
		defer shut(theirs.Body)
		if a.status != theirs.StatusCode {
			t.Errorf("status %d, net/http: %d", a.status, theirs.StatusCode)
		}
		if chunked := len(theirs.TransferEncoding) > 0; a.chunked != chunked && !noBody(a.status, method) {
			t.Errorf("chunked %v, net/http: %v", a.chunked, chunked)
		}
		other, err := io.ReadAll(theirs.Body)
		if complete && err == nil && !bytes.Equal(body, other) {
			t.Errorf("body %q, net/http: %q", body, other)
		}
		for name, values := range h {
			// An empty continuation line leaves spaces behind in net/http.
			if !slices.Equal(spaced(values), spaced(theirs.Header[name])) {
				if name == "Content-Length" {
					continue // the same one twice is one for us
				}
				t.Errorf("%s: %q, net/http: %q", name, values, theirs.Header[name])
			}
		}
	})
}

// spaced returns the values with one space where there are several.
func spaced(values []string) (list []string) {
	for _, v := range values {
		list = append(list, strings.Join(strings.Fields(v), " "))
	}
	return list
}

func noBody(status int, method string) bool {
	return method == http.MethodHead || status < 200 || status == 204 || status == 304
}

// readAnswer reads a body as the relay does, from memory.
func readAnswer(t *testing.T, a answer, p []byte) (body []byte, complete bool) {
	t.Helper()
	if !a.chunked {
		if a.length == untilClose {
			return p, true
		}
		if a.length < 0 {
			t.Fatalf("length %d", a.length)
		}
		return p[:min(a.length, int64(len(p)))], a.length <= int64(len(p))
	}
	var d dechunker
	for {
		data, used, err := d.step(p)
		if used > len(p) || len(data) > used {
			t.Fatalf("used %d of %d bytes for %d of data", used, len(p), len(data))
		}
		body = append(body, data...)
		p = p[used:]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return body, true
		case errors.Is(err, errMore):
			return body, false
		default:
			if _, ok := errors.AsType[answerError](err); !ok {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return body, false
		}
	}
}
