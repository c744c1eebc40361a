package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds the head of an answer; ours are a tenth of it.
const maxHead = 16 << 10

// An answer is what is known of an answer once its head is there.
type answer struct {
	status int
	length int64 // of the body
	close  bool  // the connection ends with it
	head   int   // bytes of the head, the empty line included
}

var (
	errHead    = errors.New("load: that is no head of an answer")
	errChunked = errors.New("load: an answer without Content-Length is not measured")
)

// parseHead reads the head at the beginning of b. The zero answer without an
// error: the head is not whole yet. It reads what the servers of a benchmark
// send, and is no parser for a proxy.
func parseHead(b []byte) (answer, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= maxHead {
			return answer{}, errHead
		}
		return answer{}, nil
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return answer{}, errHead
	}
	status, err := strconv.ParseUint(string(line[9:12]), 10, 16)
	if err != nil {
		return answer{}, errHead
	}
	a := answer{status: int(status), length: -1, head: end + len("\r\n\r\n")}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if err := a.field(line); err != nil {
			return answer{}, err
		}
	}
	switch {
	case a.status < 200 || a.status == 204 || a.status == 304:
		a.length = 0
	case a.length < 0:
		return answer{}, errChunked
	}
	return a, nil
}

// field reads one line of the head; most are none of our business.
func (a *answer) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case is(name, "Content-Length"):
		n, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil {
			return fmt.Errorf("load: Content-Length %q", value)
		}
		a.length = int64(n)
	case is(name, "Transfer-Encoding"):
		return errChunked
	case is(name, "Connection"):
		a.close = is(value, "close")
	}
	return nil
}

func is(b []byte, s string) bool { return len(b) == len(s) && bytes.EqualFold(b, []byte(s)) }
