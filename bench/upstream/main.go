// Command upstream is the server behind the proxies for what nginx cannot do: it
// reads a body of any size to its end before it answers, and it accepts WebSockets
// and keeps them open.
package main

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it; nothing is kept secret by it
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9001", "`ADDR` to listen on")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/ws", websocket)
	hs := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := hs.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

// upload reads the body and answers with its length.
func upload(w http.ResponseWriter, r *http.Request) {
	var n int64
	for buf := make([]byte, 256<<10); ; {
		k, err := r.Body.Read(buf)
		n += int64(k)
		if err == io.EOF {
			break
		} else if err != nil {
			panic(http.ErrAbortHandler) // the proxy has cut it off
		}
	}
	_, _ = fmt.Fprintf(w, "%20d", n) //nolint:gosec // always 20 bytes, and a number
}

// websocket accepts the handshake and keeps the connection until the client closes
// it.
func websocket(w http.ResponseWriter, r *http.Request) {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"               // RFC 6455, 1.3
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + guid)) //nolint:gosec // see the import
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = c.Close() }()
	_, err = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		return
	}
	for buf := make([]byte, 512); ; {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
