package engine

import (
	"bytes"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// An answerError says why an answer is not valid HTTP/1.1. It becomes an Error of kind
// Protocol. The proxy refuses whatever two programs could read differently.
type answerError string

func (e answerError) Error() string { return "bad answer: " + string(e) }

// untilClose is the length of a body that ends with the connection.
const untilClose = -1

// An answer is what the head of an answer says about the connection and the body.
// parseAnswer puts the other fields into a header map.
type answer struct {
	status    int
	length    int64  // of the body, if it is not chunked; or untilClose
	chunked   bool   // the body is chunked
	last      bool   // the connection must not be used again
	upgrade   string // the protocol of a 101
	stream    bool   // Content-Type: text/event-stream
	reason    string // the reason phrase
	challenge bool   // there is a Www-Authenticate
}

// headEnd returns the length of the head at the begin of b, including the empty line at
// its end, or 0 if it is not complete yet. *seen is how many bytes it has scanned before;
// it updates that, so that no byte is scanned twice. A line that does not end in CR LF is
// an error.
func headEnd(b []byte, seen *int) (int, error) {
	for {
		i := bytes.IndexByte(b[*seen:], '\n')
		if i < 0 {
			return 0, nil
		}
		if i == 0 || b[*seen+i-1] != '\r' {
			return 0, answerError("a line of the head ends in a bare LF")
		}
		empty := i == 1
		first := *seen == 0
		*seen += i + 1
		if empty && first {
			return 0, answerError("there is no status line")
		}
		if empty {
			return *seen, nil
		}
	}
}

// parseAnswer parses a whole head, as conn.head returns it, of the answer to a
// request with the given method. It puts the end-to-end fields into h under
// canonical names, except those whose names are in own. The framing must be certain
// (RFC 9112, 6.3): two lengths, a length beside a transfer coding, and codings other
// than chunked are errors. After an error h may hold some of the fields.
func parseAnswer(head, method string, own []string, h http.Header) (answer, error) {
	line, rest := cutLine(head)
	status, minor, reason, err := parseStatus(line)
	if err != nil {
		return answer{}, err
	}
	p := fieldParser{h: h, own: own, length: untilClose, values: make([]string, 0, strings.Count(rest, "\n"))}
	if err := eachField(rest, p.add); err != nil {
		return answer{}, err
	}
	a, err := p.answer(status, minor, method)
	a.reason = reason
	return a, err
}

// cutLine splits s after its first line. Lines end in CR LF, which line is without.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 1 {
		return s, ""
	}
	return s[:i-1], s[i+1:]
}

// parseStatus parses HTTP/1.x SP 3DIGIT [SP reason]. A line without the second space
// has no reason phrase; many servers send that, and all clients understand it.
func parseStatus(line string) (status, minor int, reason string, err error) {
	const begin = "HTTP/1.x nnn"
	if len(line) < len(begin) || line[:7] != begin[:7] || line[8] != ' ' {
		return 0, 0, "", answerError("status line is malformed")
	}
	switch line[7] {
	case '0', '1':
		minor = int(line[7] - '0')
	default:
		return 0, 0, "", answerError("version is neither HTTP/1.0 nor HTTP/1.1")
	}
	for _, c := range []byte(line[9:12]) {
		if c < '0' || c > '9' {
			return 0, 0, "", answerError("status code is no number of three digits")
		}
		status = status*10 + int(c-'0')
	}
	reason = line[12:]
	if status < 100 || reason != "" && reason[0] != ' ' {
		return 0, 0, "", answerError("status code is no number of three digits")
	}
	if !httpfield.IsValue(reason) {
		return 0, 0, "", answerError("control character in the status line")
	}
	return status, minor, httpfield.TrimOWS(reason), nil
}
