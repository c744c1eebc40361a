package server

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"gatehouse/server/admin"
)

// BenchmarkRequest is one signed-in request for 1 KiB through the whole
// process, over sockets. The client and the upstream are in the same process
// and allocate nothing, so the allocations are the gate's.
func BenchmarkRequest(b *testing.B) {
	r := start(b, fmt.Sprintf("log: {access: false, level: warn}\nroutes: [{upstream: \"http://%s\"}]\n", answering(b)))
	if err := r.dial().AddUser(b.Context(), admin.NewUser{Name: "alice", Hash: admin.Hash(testHash(b))}); err != nil {
		b.Fatal(err)
	}
	cookies := r.login("alice")
	c, err := new(net.Dialer).DialContext(b.Context(), "tcp", r.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	ask := []byte("GET /some/page HTTP/1.1\r\nHost: app.example.test\r\nUser-Agent: bench\r\nAccept: */*\r\nCookie: gatehouse=" + cookies["gatehouse"] + "\r\n\r\n")
	in := bufio.NewReaderSize(c, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		for first := true; ; first = false {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				b.Fatalf("answered %s", line)
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := in.Discard(1 << 10); err != nil {
			b.Fatal(err)
		}
	}
}

// answering is an upstream that answers every read with 1 KiB.
func answering(b *testing.B) (addr string) {
	b.Helper()
	ln, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n" +
		"Last-Modified: Sun, 22 Nov 2026 11:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"65608a40-400\"\r\nAccept-Ranges: bytes\r\n\r\n" +
		strings.Repeat("x", 1<<10))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // a test
				buf := make([]byte, 16<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}
