package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead is the greatest size of the head of an answer, ten times that of ours.
const maxHead = 16 << 10

// An answer is what the head of an answer says of it.
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

// parseHead parses the head at the beginning of b. It returns the zero answer when
// the head is not complete yet. It knows what the servers of the benchmark send,
// and checks less than a proxy has to.
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

// field parses one line of the head, and ignores those that do not matter here.
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
