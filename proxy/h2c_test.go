package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// h2c starts a server that speaks HTTP/2 without TLS, and nothing else.
func h2c(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	up := httptest.NewUnstartedServer(handler)
	up.Config.Protocols = new(http.Protocols)
	up.Config.Protocols.SetUnencryptedHTTP2(true)
	up.Start()
	t.Cleanup(up.Close)
	return strings.Replace(up.URL, "http://", "h2c://", 1)
}

func TestH2C(t *testing.T) {
	h := open(t, setting{}, fixture(h2c(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %s %s %s", r.Proto, r.Method, r.Host, r.RequestURI, r.Header.Get("X-Forwarded-User"), b) //nolint:gosec // G705: a test
	})))
	answer := h.raw(t, "POST /a%2Fb?x=1 HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Content-Length: 5\r\nConnection: close\r\n\r\nhello")
	if want := "HTTP/2.0 POST " + host + " /a%2Fb?x=1 alice hello"; body(answer) != want {
		t.Errorf("answer %q, want %q", answer, want)
	}
	// A visitor's Upgrade is not passed: HTTP/2 has none.
	answer = h.get(t, "/x", aliceLine, handshakeLines)
	if status(answer) != "200" {
		t.Errorf("answer to a handshake %q", answer)
	}
}

func TestH2CUpstreamThatSpeaksHTTP1(t *testing.T) {
	up := httptest.NewServer(http.NotFoundHandler())
	defer up.Close()
	h := open(t, setting{}, fixture(strings.Replace(up.URL, "http://", "h2c://", 1)))
	if answer := h.get(t, "/x", aliceLine); status(answer) != "502" {
		t.Errorf("answer %q, want 502", answer)
	}
}

// grpcServer knows three methods, as gRPC servers answer them.
func grpcServer(t *testing.T) string {
	return h2c(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Te") != "trailers" || r.Header.Get("X-Forwarded-User") != "alice" || r.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("header %v", r.Header)
		}
		w.Header().Set("Content-Type", "application/grpc")
		if strings.HasSuffix(r.URL.Path, "/Refuse") { // trailers only: all in one block of fields
			w.Header().Set("Grpc-Status", "5")
			w.Header().Set("Grpc-Message", "not found")
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		br := bufio.NewReader(r.Body)
		for {
			line, err := br.ReadString('\n')
			if err != nil || strings.HasSuffix(r.URL.Path, "/Early") {
				break
			}
			_, _ = io.WriteString(w, "got "+line)
			_ = rc.Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "fine")
	})
}

func (h *house) call(t *testing.T, method string, body io.Reader) *http.Response {
	t.Helper()
	r := h.request(t, "POST", "/pkg.Service/"+method, body)
	r.Header.Set("Te", "trailers")
	r.Header.Set("Content-Type", "application/grpc")
	return h.do(t, r)
}

func TestGRPCBothWays(t *testing.T) {
	h := open(t, setting{https: true}, fixture(grpcServer(t)))
	pr, pw := io.Pipe()
	res := h.call(t, "Talk", pr) //nolint:bodyclose // do sees to it
	br := bufio.NewReader(res.Body)
	for _, word := range []string{"one", "two", "three"} {
		_, _ = io.WriteString(pw, word+"\n")
		if line, err := br.ReadString('\n'); err != nil || line != "got "+word+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	_ = pw.Close()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("end %q, %v", rest, err)
	}
	if res.ProtoMajor != 2 || res.Trailer.Get("Grpc-Status") != "0" || res.Trailer.Get("Grpc-Message") != "fine" {
		t.Errorf("%s, trailers %v", res.Proto, res.Trailer)
	}
}

func TestGRPCTrailersOnly(t *testing.T) {
	h := open(t, setting{https: true}, fixture(grpcServer(t)))
	res := h.call(t, "Refuse", strings.NewReader("one\n")) //nolint:bodyclose // do sees to it
	rest, err := io.ReadAll(res.Body)
	if err != nil || len(rest) > 0 || res.Header.Get("Grpc-Status") != "5" || res.Header.Get("Grpc-Message") != "not found" {
		t.Errorf("%q, %v, header %v", rest, err, res.Header)
	}
}

// A server may have heard enough while the visitor could go on talking.
func TestGRPCServerEndsFirst(t *testing.T) {
	h := open(t, setting{https: true}, fixture(grpcServer(t)))
	pr, pw := io.Pipe()
	defer closing(pw)
	res := h.call(t, "Early", pr) //nolint:bodyclose // do sees to it
	_, _ = io.WriteString(pw, "one\n")
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 || res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("%q, %v, trailers %v", rest, err, res.Trailer)
	}
}
