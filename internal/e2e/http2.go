package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP2 sends one request over HTTP/2, in frames that need not be valid: the
// fields in the given order and spelling, the body, and the trailer unless it is
// nil. refused reports whether the gate reset the stream or closed the connection
// in place of an answer.
func (g *Gate) HTTP2(tb testing.TB, fields [][2]string, body string, trailer [][2]string) (a Answer, refused bool) {
	tb.Helper()
	d := tls.Dialer{Config: g.CA.Client("h2")}
	conn, err := d.DialContext(tb.Context(), "tcp", g.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(Patience))
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.AllowIllegalWrites = true
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = framer.WriteSettings()
	go func() { // the gate may stop reading before all is written
		writeBlock(framer, fields, body == "" && trailer == nil)
		if body != "" {
			_ = framer.WriteData(1, trailer == nil, []byte(body))
		}
		if trailer != nil {
			writeBlock(framer, trailer, true)
		}
	}()
	return readStream(framer)
}

// writeBlock writes a header block as HEADERS and as many CONTINUATION frames as
// it needs.
func writeBlock(framer *http2.Framer, fields [][2]string, end bool) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	const most = 16 << 10
	first := block.Next(most)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: end, EndHeaders: block.Len() == 0})
	for block.Len() > 0 {
		next := block.Next(most)
		if framer.WriteContinuation(1, block.Len() == 0, next) != nil {
			return
		}
	}
}

// readStream reads the answer on stream 1.
func readStream(framer *http2.Framer) (a Answer, refused bool) {
	a.Header = http.Header{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return a, !errors.As(err, new(http2.StreamError))
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				a.Header.Add(field.Name, field.Value)
				if field.Name == ":status" {
					a.Status, _ = strconv.Atoi(field.Value)
				}
			}
			if f.StreamEnded() {
				return a, false
			}
		case *http2.DataFrame:
			a.Body += string(f.Data())
			if f.StreamEnded() {
				return a, false
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return a, a.Status == 0
		}
	}
}
