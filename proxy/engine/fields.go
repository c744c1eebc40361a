package engine

import (
	"math"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
)

// maxFields is how many lines a head may have, including folded ones.
const maxFields = 512

// eachField calls yield for each field up to an empty line, or the end. Names are
// canonical. A line that begins with a space continues the one before (obs-fold, RFC
// 9112, 5.2): the two are joined by one space.
func eachField(block string, yield func(name, value string) error) error {
	for n := 0; block != ""; n++ {
		var line string
		if line, block = cutLine(block); line == "" {
			return nil
		}
		name, value, found := strings.Cut(line, ":")
		name, ok := httpfield.CanonicalName(name)
		if !found || !ok {
			return answerError("field name is malformed")
		}
		value = httpfield.TrimOWS(value)
		for block != "" && (block[0] == ' ' || block[0] == '\t') {
			line, block = cutLine(block)
			value = httpfield.TrimOWS(value + " " + httpfield.TrimOWS(line))
			n++
		}
		if n >= maxFields {
			return answerError("there are too many fields")
		}
		if !httpfield.IsValue(value) {
			return answerError("control character in a field value")
		}
		if err := yield(name, value); err != nil {
			return err
		}
	}
	return nil
}

// A fieldParser sorts the fields of an answer: it evaluates those that frame the message
// or are hop-by-hop, and puts the others into h, except those named in own.
type fieldParser struct {
	h      http.Header
	own    []string
	values []string // one array for the values of all fields

	length     int64 // Content-Length; untilClose: none
	coded      bool  // there was a Transfer-Encoding
	connection []string
	upgrade    string
	challenge  bool // there is a Www-Authenticate
}

func (p *fieldParser) add(name, value string) error {
	switch name {
	case "Content-Length":
		return p.contentLength(name, value)
	case "Transfer-Encoding":
		if p.coded || !strings.EqualFold(value, "chunked") {
			return answerError("transfer coding is not chunked alone")
		}
		p.coded = true
	case "Connection":
		p.connection = append(p.connection, value)
	case "Www-Authenticate":
		p.challenge = true
		p.keep(name, value)
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
		return answerError("Content-Length is no number")
	case p.length == untilClose:
		p.length = n
		p.keep(name, value)
	case n != p.length:
		return answerError("there are two different Content-Length")
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

// answer evaluates the framing after all fields have been added.
func (p *fieldParser) answer(status, minor int, method string) (answer, error) {
	if p.coded && p.length != untilClose {
		return answer{}, answerError("Content-Length and Transfer-Encoding together")
	}
	if p.coded && minor == 0 {
		return answer{}, answerError("Transfer-Encoding in HTTP/1.0")
	}
	a := answer{status: status, length: p.length, chunked: p.coded, last: minor == 0, challenge: p.challenge}
	a.last = a.last || httpfield.HasToken(p.connection, "close")
	for _, line := range p.connection {
		p.dropNominated(line)
	}
	if status < 200 || status == http.StatusNoContent {
		p.drop("Content-Length") // RFC 9110, 8.6: it must not be there
	}
	if status == http.StatusSwitchingProtocols && httpfield.HasBareToken(p.connection, "upgrade") {
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

// dropNominated removes the fields that Connection names (RFC 9110, 7.6.1).
func (p *fieldParser) dropNominated(line string) {
	for token := range strings.SplitSeq(line, ",") {
		p.drop(textproto.CanonicalMIMEHeaderKey(httpfield.TrimOWS(token)))
	}
}

func (p *fieldParser) drop(name string) {
	if !slices.Contains(p.own, name) {
		delete(p.h, name)
	}
}

// hopByHop reports whether a field is for one connection only, even if Connection does
// not name it (RFC 9110, 7.6.1). Trailer is one of them here, because it may announce
// fields that we leave out; trailers are valid without it. name is canonical.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// parseLength parses a decimal number up to 2^63-1. Only digits are allowed: no sign, no
// list, no spaces, which others may read differently.
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
