package load

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       answer
		err        error
	}{
		{"not whole", "HTTP/1.1 200 OK\r\nContent-Le", answer{}, nil},
		{"a file", "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 1024\r\n\r\nxx", answer{status: 200, length: 1024, head: 52}, nil},
		{"spelling", "HTTP/1.0 404 Not Found\r\ncontent-LENGTH:7\r\nconnection: Close\r\n\r\n", answer{status: 404, length: 7, close: true, head: 63}, nil},
		{"no reason", "HTTP/1.1 204\r\n\r\n", answer{status: 204, head: 16}, nil},
		{"upgrade", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", answer{status: 101, head: 57}, nil},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", answer{}, errChunked},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", answer{}, errChunked},
		{"no answer", "SSH-2.0-OpenSSH\r\n\r\n", answer{}, errHead},
		{"no number", "HTTP/1.1 abc\r\n\r\n", answer{}, errHead},
		{"too long", "HTTP/1.1 200 OK\r\nX: " + fmt.Sprint(make([]int, maxHead)), answer{}, errHead},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseHead([]byte(c.text))
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 101 x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseHead(b)
		if err != nil || a.head == 0 {
			if a != (answer{}) {
				t.Errorf("%+v with %v", a, err)
			}
			return
		}
		if a.head > len(b) || a.length < 0 || a.status > 999 {
			t.Errorf("%+v of %d bytes", a, len(b))
		}
	})
}

func TestHistogramIsAtMostThreePercentTooHigh(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 31, 32, 33, 63, 64, 1000, time.Millisecond, 77 * time.Millisecond, time.Hour, math.MaxInt64 / 2} {
		var h Histogram
		h.Add(d)
		got := h.Quantile(0.5)
		if got < d || float64(got-d) > float64(d)*0.032 {
			t.Errorf("%d counts as %d", d, got)
		}
	}
}

func TestHistogramQuantile(t *testing.T) {
	var h, other Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
	for i := range 900 {
		h.Add(time.Duration(i%10 + 1))
	}
	for range 100 {
		other.Add(20)
	}
	other.Add(-1)
	h.Merge(&other)
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 0}, {0.5, 6}, {0.85, 10}, {0.95, 20}, {1, 20}} {
		if got := h.Quantile(c.q); got != c.want {
			t.Errorf("quantile %g: %d, want %d", c.q, got, c.want)
		}
	}
}

func ExampleHistogram() {
	var h Histogram
	for i := range 100 {
		h.Add(time.Duration(i) * time.Nanosecond)
	}
	fmt.Println(h.Quantile(0.20), h.Quantile(0.99))
	// Output: 20ns 99ns
}
