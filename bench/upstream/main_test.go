package main

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestUploadCountsTheBody(t *testing.T) {
	w := httptest.NewRecorder()
	upload(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/upload", strings.NewReader(strings.Repeat("x", 1<<20))))
	if got := w.Body.String(); len(got) != 20 || strings.TrimSpace(got) != "1048576" {
		t.Errorf("%q", got)
	}
}

// TestWebSocketHandshake is the example of RFC 6455, 1.3.
func TestWebSocketHandshake(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(websocket))
	defer s.Close()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}
