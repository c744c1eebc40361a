package engine

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

func TestDechunker(t *testing.T) {
	long := strings.Repeat("e", 3000)
	tests := []struct{ name, in, want, trailer, err string }{
		{"two chunks", "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", "abcde", "", "EOF"},
		{"empty", "0\r\n\r\n", "", "", "EOF"},
		{"hexadecimal of either case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "", "EOF"},
		{"extension", "1;x=\"y\"\r\na\r\n0\r\n\r\n", "a", "", "EOF"},
		{"spaces behind the size", "1  \r\na\r\n0 \r\n\r\n", "a", "", "EOF"},
		{"leading zeros", "0001\r\na\r\n000\r\n\r\n", "a", "", "EOF"},
		{"trailers", "0\r\nX-A: b\r\nX-C: d\r\n\r\n", "", "X-A: b\r\nX-C: d\r\n", "EOF"},
		{"cut in a size", "2\r\nab\r\n3", "ab", "", "needed"},
		{"cut in data", "5\r\nab", "ab", "", "needed"},
		{"cut before the last chunk", "2\r\nab\r\n", "ab", "", "needed"},
		{"cut in the trailers", "0\r\nX-A: b\r\n", "", "X-A: b\r\n", "needed"},
		{"no size", "\r\nab\r\n", "", "", "no size"},
		{"only an extension", ";x\r\nab\r\n", "", "", "no size"},
		{"sign", "+2\r\nab\r\n", "", "", "no number"},
		{"0x", "0x2\r\nab\r\n", "", "", "no number"},
		{"space before the size", " 2\r\nab\r\n", "", "", "no number"},
		{"underscore", "1_0\r\nab\r\n", "", "", "no number"},
		{"overflow", "8000000000000000\r\nab\r\n", "", "", "no number"},
		{"overflow to a small one", "10000000000000002\r\nab\r\n", "", "", "no number"},
		{"bare LF behind the size", "2\nab\r\n", "", "", "bare LF"},
		{"bare CR in an extension", "2;\rx\r\nab\r\n", "", "", "bare CR"},
		{"bare LF behind the data", "2\r\nab\n0\r\n\r\n", "ab", "", "longer than it says"},
		{"more data than said", "2\r\nabc\r\n0\r\n\r\n", "ab", "", "longer than it says"},
		{"endless size line", strings.Repeat("0", maxChunkLine), "", "", "too long"},
		{"many long extensions around single bytes", strings.Repeat("1;"+long+"\r\na\r\n", 9), "aaaaa", "", "extensions are too long"},
		{"endless trailers", "0\r\n" + strings.Repeat("a: "+long+"\r\n", 6), "", strings.Repeat("a: "+long+"\r\n", 5), "trailers are too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d dechunker
			body, _, err := dechunk(&d, []byte(tt.in), len(tt.in))
			if string(body) != tt.want || string(d.trailer) != tt.trailer || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %.20q, trailers %.40q, %v; want %.20q, %.40q, %v", body, d.trailer, err, tt.want, tt.trailer, tt.err)
			}
		})
	}
}

// dechunk feeds d with at most n new bytes at a time.
func dechunk(d *dechunker, in []byte, n int) (body, rest []byte, err error) {
	have := 0
	for {
		data, used, err := d.step(in[:have])
		body = append(body, data...)
		in, have = in[used:], have-used
		if errors.Is(err, errMore) && have < len(in) {
			have = min(have+n, len(in))
			continue
		}
		if err != nil {
			return body, in, err
		}
	}
}

func FuzzDechunker(f *testing.F) {
	f.Add([]byte("2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nX-A: b\r\n\r\nrest"))
	f.Add([]byte("ffffffffffffffff\r\n"))
	f.Add([]byte("1\r\na\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole, single dechunker
		body, rest, err := dechunk(&whole, in, len(in)+1)
		body1, rest1, err1 := dechunk(&single, in, 1)
		if !bytes.Equal(body, body1) || errors.Is(err, io.EOF) != errors.Is(err1, io.EOF) || errors.Is(err, io.EOF) && !bytes.Equal(rest, rest1) {
			t.Errorf("at once %q %q %v, byte by byte %q %q %v", body, rest, err, body1, rest1, err1)
		}
		if !errors.Is(err, io.EOF) {
			return
		}
		if theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in))); err == nil && !bytes.Equal(body, theirs) {
			t.Errorf("body %q, net/http: %q", body, theirs)
		}
	})
}
