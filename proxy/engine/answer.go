package engine

import (
	"bytes"
	"math"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// maxFields bounds the field lines of a head, folded lines included.
const maxFields = 512

// badAnswer is an answer that is not HTTP/1.1 as it should be: nobody can
// say for sure where it ends, or what it means.
type badAnswer string

func (e badAnswer) Error() string { return "bad answer: " + string(e) }

// untilClose is the length of a body that ends with the connection.
const untilClose = -1

// An answer is what a head says of itself. Its other fields are put into a
// header map by parseAnswer.
type answer struct {
	status  int
	length  int64  // of the body, when it is not chunked; untilClose: who knows
	chunked bool   // the body is chunked
	last    bool   // the connection must not be used again
	upgrade string // the protocol of a 101
	stream  bool   // Content-Type: text/event-stream
}

// headEnd looks for the empty line, from *seen on, and gives the length of
// the head with it, 0 when it is not there yet. A line that does not end in
// CR LF is refused.
func headEnd(b []byte, seen *int) (int, error) {
	for {
		i := bytes.IndexByte(b[*seen:], '\n')
		if i < 0 {
			return 0, nil
		}
		if i == 0 || b[*seen+i-1] != '\r' {
			return 0, badAnswer("a line of the head ends in a bare LF")
		}
		empty := i == 1
		first := *seen == 0
		*seen += i + 1
		if empty && first {
			return 0, badAnswer("there is no status line")
		}
		if empty {
			return *seen, nil
		}
	}
}

// parseAnswer reads a whole head, as conn.head gives it, to a request of the
// given method, and puts its end-to-end fields into h under canonical names.
// Names in own are left alone. What it says of framing must be
// without any doubt (RFC 9112, 6.3): two lengths, a length beside a transfer
// coding, and codings other than chunked are refused. h may hold some of the
// fields when it fails.
func parseAnswer(head, method string, own []string, h http.Header) (answer, error) {
	line, rest := cutLine(head)
	status, minor, err := parseStatus(line)
	if err != nil {
		return answer{}, err
	}
	p := fieldParser{h: h, own: own, length: untilClose, values: make([]string, 0, strings.Count(rest, "\n"))}
	if err := eachField(rest, p.add); err != nil {
		return answer{}, err
	}
	return p.answer(status, minor, method)
}

func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 1 {
		return s, ""
	}
	return s[:i-1], s[i+1:]
}

// parseStatus reads HTTP/1.x SP 3DIGIT [SP reason]. Without the second space
// there is no reason, which many servers send and everybody understands.
func parseStatus(line string) (status, minor int, err error) {
	const begin = "HTTP/1.x nnn"
	if len(line) < len(begin) || line[:7] != begin[:7] || line[8] != ' ' {
		return 0, 0, badAnswer("status line is malformed")
	}
	switch line[7] {
	case '0', '1':
		minor = int(line[7] - '0')
	default:
		return 0, 0, badAnswer("version is neither HTTP/1.0 nor HTTP/1.1")
	}
	for _, c := range []byte(line[9:12]) {
		if c < '0' || c > '9' {
			return 0, 0, badAnswer("status code is no number of three digits")
		}
		status = status*10 + int(c-'0')
	}
	reason := line[12:]
	if status < 100 || reason != "" && reason[0] != ' ' {
		return 0, 0, badAnswer("status code is no number of three digits")
	}
	if !validValue(reason) {
		return 0, 0, badAnswer("control character in the status line")
	}
	return status, minor, nil
}

// eachField reads field lines up to an empty one, or the end. A line that
// begins with a space continues the one before (obs-fold, RFC 9112, 5.2): the
// two are joined by one space.
func eachField(block string, yield func(name, value string) error) error {
	for n := 0; block != ""; n++ {
		var line string
		if line, block = cutLine(block); line == "" {
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !validName(name) {
			return badAnswer("field name is malformed")
		}
		value = trim(value)
		for block != "" && (block[0] == ' ' || block[0] == '\t') {
			line, block = cutLine(block)
			value = trim(value + " " + trim(line))
			n++
		}
		if n >= maxFields {
			return badAnswer("there are too many fields")
		}
		if !validValue(value) {
			return badAnswer("control character in a field value")
		}
		if err := yield(textproto.CanonicalMIMEHeaderKey(name), value); err != nil {
			return err
		}
	}
	return nil
}

func trim(s string) string { return strings.Trim(s, " \t") }

// A fieldParser sorts the fields of an answer: framing and hop-by-hop ones
// are for us, the others for the visitor.
type fieldParser struct {
	h      http.Header
	own    []string
	values []string // one array for the values of all fields

	length     int64 // Content-Length; untilClose: none
	coded      bool  // there was a Transfer-Encoding
	connection []string
	upgrade    string
}

func (p *fieldParser) add(name, value string) error {
	switch name {
	case "Content-Length":
		return p.contentLength(name, value)
	case "Transfer-Encoding":
		if p.coded || !strings.EqualFold(value, "chunked") {
			return badAnswer("transfer coding is not chunked alone")
		}
		p.coded = true
	case "Connection":
		p.connection = append(p.connection, value)
	case "Upgrade":
		if p.upgrade != "" {
			value = p.upgrade + ", " + value
		}
		p.upgrade = value
	default:
		if !hopByHop(name) {
			p.keep(name, value)
		}
	}
	return nil
}

func (p *fieldParser) contentLength(name, value string) error {
	n, ok := parseLength(value)
	switch {
	case !ok:
		return badAnswer("Content-Length is no number")
	case p.length == untilClose:
		p.length = n
		p.keep(name, value)
	case n != p.length:
		return badAnswer("there are two different Content-Length")
	}
	return nil
}

func (p *fieldParser) keep(name, value string) {
	if slices.Contains(p.own, name) {
		return
	}
	if before, ok := p.h[name]; ok {
		p.h[name] = append(before, value)
		return
	}
	n := len(p.values)
	p.values = append(p.values, value)
	p.h[name] = p.values[n : n+1 : n+1]
}

// answer judges the framing once all fields are known.
func (p *fieldParser) answer(status, minor int, method string) (answer, error) {
	if p.coded && p.length != untilClose {
		return answer{}, badAnswer("Content-Length and Transfer-Encoding together")
	}
	if p.coded && minor == 0 {
		return answer{}, badAnswer("Transfer-Encoding in HTTP/1.0")
	}
	a := answer{status: status, length: p.length, chunked: p.coded, last: minor == 0}
	for _, line := range p.connection {
		if hasToken(line, "close") {
			a.last = true
		}
		p.dropNominated(line)
	}
	if status < 200 || status == http.StatusNoContent {
		p.drop("Content-Length") // RFC 9110, 8.6: it must not be there
	}
	if status == http.StatusSwitchingProtocols && hasTokenIn(p.connection, "upgrade") {
		a.upgrade = p.upgrade
	}
	if method == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		a.length, a.chunked = 0, false
	}
	if a.length == untilClose && !a.chunked {
		a.last = true
	}
	if ct := p.h["Content-Type"]; len(ct) > 0 {
		a.stream = strings.HasPrefix(ct[0], "text/event-stream")
	}
	return a, nil
}

// dropNominated takes out the fields that Connection names (RFC 9110, 7.6.1).
func (p *fieldParser) dropNominated(line string) {
	for token := range strings.SplitSeq(line, ",") {
		p.drop(textproto.CanonicalMIMEHeaderKey(trim(token)))
	}
}

func (p *fieldParser) drop(name string) {
	if !slices.Contains(p.own, name) {
		delete(p.h, name)
	}
}

// hopByHop knows the fields that end at the next hop whether Connection
// names them or not. Trailer announces what may never come; trailers travel
// without it.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// parseLength reads digits and nothing else, up to 2^63-1.
func parseLength(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func hasTokenIn(lines []string, token string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return hasToken(line, token) })
}

// hasToken looks for a token in a comma-separated list, whatever its case.
func hasToken(line, token string) bool {
	for part := range strings.SplitSeq(line, ",") {
		if strings.EqualFold(trim(part), token) {
			return true
		}
	}
	return false
}
