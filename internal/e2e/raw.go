package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Dial opens a connection for raw bytes, with TLS if the mode has it. The
// protocol is HTTP/1.1. It is closed at the end of the test.
func (g *Gate) Dial(tb testing.TB) net.Conn {
	tb.Helper()
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", g.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	if g.Mode.TLS {
		secure := tls.Client(conn, g.CA.Client("http/1.1"))
		if err := secure.HandshakeContext(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		conn = secure
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ReadAnswer reads one answer, to a request with the method, from a connection of
// Dial.
func ReadAnswer(tb testing.TB, r *bufio.Reader, method string) Answer {
	tb.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		tb.Fatalf("read an answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Proto, resp.Header, resp.Trailer, string(body), resp.ContentLength, err}
}

// ReadFor reads until the connection ends or d has passed. ended reports whether
// the other side has closed it.
func ReadFor(conn net.Conn, d time.Duration) (got string, ended bool) {
	_ = conn.SetReadDeadline(time.Now().Add(d))
	all, err := io.ReadAll(conn)
	var timeout net.Error
	return string(all), err == nil || !errors.As(err, &timeout) || !timeout.Timeout()
}
