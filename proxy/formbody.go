package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
	"gatehouse/proxy/form"
)

// A formBody is the body of a form that is searched, while it streams, for fields that
// name another method: frameworks take a POST with _method=DELETE for a DELETE (Rails,
// Laravel, Symfony, CakePHP, Spring). If the rules don't allow the person that method,
// the body breaks off in front of the value, so that the upstream never gets all of
// it, and forwarding fails.
//
// Nothing of a value is passed on before it has ended. So an application that accepts
// half a body finds no method in it either.
//
// The engine may read the body on another goroutine than that of the request; nobody
// else uses a formBody until the engine is done.
type formBody struct {
	io.ReadCloser // the visitor's body
	p             *Proxy
	in            *http.Request
	question      decisionInput // a copy, of which the method is changed
	allowed       access.Decision
	who           *access.Who
	id            *auth.Identity
	asked         bool // whether it is known who made the request

	fields *form.Scanner
	left   int64 // bytes of the body that are to come; negative: unknown

	held  []byte // bytes that were read and not passed on
	ready int    // how many of held may be passed on
	err   error  // what Read returns behind them; nil: there is more to read

	refusal *formRefusal // why the body was broken off; nil: it was not
}

// A formRefusal is why a body was broken off.
type formRefusal struct {
	ruling ruling // of the request with the other method
	err    error  // that it could not be decided; nil: ruling decides
}

// errFormRefused is what the engine reads in place of the rest of a body.
var errFormRefused = errors.New("a field of the body names a method that is not allowed")

// watchForm puts a formBody in the place of the body of in, if a rule that was
// asked looks at the method and the body may be a form. nil: it is none. A form
// whose fields cannot be seen, because it is in an encoding or a charset that
// some applications decode, is refused (415).
func (p *Proxy) watchForm(in *http.Request, input *decisionInput, d *Decision) (*formBody, error) {
	if !d.byMethod || in.Body == nil || in.Body == http.NoBody || in.ContentLength == 0 {
		return nil, nil
	}
	types := linesOf(in.Header, "Content-Type")
	fields := form.New(types, isMethodParameter)
	if fields == nil {
		return nil, nil
	}
	if !isReadable(types, linesOf(in.Header, "Content-Encoding")) {
		e := web.Refuse(http.StatusUnsupportedMediaType, "This cannot be done here.")
		e.Header = http.Header{"Accept-Encoding": {"identity"}} // RFC 9110, 12.5.3
		return nil, e.Because(errors.New("the form is compressed or in an unusual charset, so that no rule can see a _method in it"))
	}
	b := &formBody{
		ReadCloser: in.Body, p: p, in: in, question: *input, allowed: d.Outcome,
		who: whoIs(d.Identity), id: d.Identity, asked: d.Outcome != access.Public, fields: fields, left: in.ContentLength,
	}
	in.Body = b
	return b, nil
}

// linesOf returns the values of all fields whose names fold to name.
func linesOf(h http.Header, name string) (list []string) {
	for n, lines := range h {
		if httpfield.FoldName(n) == name {
			list = append(list, lines...)
		}
	}
	return list
}

// isReadable reports whether a form.Scanner sees the fields of a form as the application
// does: it is not compressed, and in a charset like ASCII. JSON may be compressed,
// because frameworks look for no method in compressed JSON.
func isReadable(types, encodings []string) bool {
	json := true
	for _, t := range types {
		json = json && strings.Contains(strings.ToLower(t), "json")
		for charset := range charsetsOf(t) {
			if !isLikeASCII(charset) {
				return false
			}
		}
	}
	if json && len(types) > 0 {
		return true
	}
	for _, e := range encodings {
		if e = strings.ToLower(strings.TrimSpace(e)); e != "" && e != "identity" {
			return false
		}
	}
	return true
}

// charsetsOf yields each charset that a media type names, in lower case.
func charsetsOf(contentType string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		_, rest, found := strings.Cut(strings.ToLower(contentType), "charset")
		for found {
			var value string
			value, rest, found = strings.Cut(rest, "charset")
			value = strings.TrimLeft(value, "= \t\"'")
			if i := strings.IndexAny(value, "\"'; ,"); i >= 0 {
				value = value[:i]
			}
			if !yield(value) {
				return
			}
		}
	}
}

// isLikeASCII reports whether a charset is known to encode the characters of ASCII as
// ASCII does, as UTF-16, UTF-7 and EBCDIC don't. "" is.
func isLikeASCII(charset string) bool {
	for _, known := range []string{
		"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-", "iso8859-", "iso_8859-", "latin", "windows-", "cp125", "koi8-", "euc-", "gb", "big5", "shift_jis", "shift-jis", "sjis", "tis-620",
	} {
		if strings.HasPrefix(charset, known) {
			return true
		}
	}
	return charset == ""
}

// Read implements io.Reader. It returns no byte of a value that has not ended.
func (b *formBody) Read(p []byte) (int, error) {
	for {
		switch {
		case b.ready > 0:
			n := copy(p, b.held[:b.ready])
			b.held = b.held[:copy(b.held, b.held[n:])]
			b.ready -= n
			return n, nil
		case b.err != nil:
			return 0, b.err // what is still held is a value without an end
		case len(b.held) == 0:
			n, err := b.look(p)
			if n > 0 || err != nil || len(p) == 0 {
				return n, err
			}
		default:
			b.readHeld()
		}
	}
}

// look reads into p, and moves what must not pass yet from its end to held.
func (b *formBody) look(p []byte) (int, error) {
	n, err := b.read(p)
	if open := b.fields.Open(); open > 0 && b.refusal == nil {
		b.held = append(b.held, p[n-open:n]...)
		n -= open
	}
	if len(b.held) > 0 && err == nil {
		return n, nil
	}
	b.err = err
	return n, err
}

// readHeld reads more into held, while something is held back.
func (b *formBody) readHeld() {
	var room [1024]byte
	n, err := b.read(room[:])
	b.held = append(b.held, room[:n]...)
	b.ready = len(b.held) - b.fields.Open()
	if b.refusal != nil {
		b.ready = 0
	}
	b.err = err
}

// read reads a piece of the body and judges the methods that it names. If one may not
// pass it returns no bytes of the piece.
func (b *formBody) read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if e := b.judge(b.fields.Scan(p[:n])); e != nil {
		return 0, e
	}
	b.left -= int64(n)
	if err == io.EOF || b.left == 0 {
		if e := b.judge(b.fields.End()); e != nil {
			return 0, e
		}
	}
	return n, err //nolint:wrapcheck // the engine knows what a body says
}

// judge sets refusal, and returns errFormRefused, if one of the methods may not pass.
func (b *formBody) judge(values []string) error {
	for _, value := range values {
		if b.refusal = b.judgeAs(value); b.refusal != nil {
			return errFormRefused
		}
	}
	return nil
}

// judgeAs decides about the request with the method that a field names; nil if it may
// pass. A value that names none may.
func (b *formBody) judgeAs(value string) *formRefusal {
	m, ok := methodNamed(value)
	if !ok {
		return &formRefusal{err: web.Refuse(http.StatusBadRequest, "")}
	}
	if m == "" {
		return nil
	}
	v, err := b.question.agreeOn(m, b.who)
	if err == nil && v.Outcome < access.Allow && !b.asked {
		if err = b.identify(); err == nil {
			v, err = b.question.agreeOn(m, b.who)
		}
	}
	switch {
	case err != nil:
		return &formRefusal{err: err}
	case v.Outcome >= access.Allow:
		return nil
	default:
		v.as = m
		return &formRefusal{ruling: v}
	}
}

// identify finds out who sent a form that did not need an identity so far.
func (b *formBody) identify() error {
	b.asked = true
	id, err := b.p.auth.Identify(b.in)
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", err)
	}
	if b.id = id; id != nil {
		b.who = whoIs(id)
	}
	return nil
}

// refuse returns the answer in place of the application's: what it would be if
// the query had named the method.
func (b *formBody) refuse(w http.ResponseWriter) error {
	b.in.Body = b.ReadCloser // there may be more to come
	if b.in.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if b.refusal.err != nil {
		return b.refusal.err
	}
	return &revisionError{Decision{ruling: b.refusal.ruling, Identity: b.id, DependsOnSession: true}}
}
