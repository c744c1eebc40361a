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

// A formBody is the body of a form that is scanned, while it streams, for fields
// that override the method: frameworks treat a POST with _method=DELETE as a DELETE
// (Rails, Laravel, Symfony, CakePHP, Spring). If the rules don't allow the person
// that method, Read fails before the value, so that the upstream never gets the
// complete body, and forwarding fails.
//
// Nothing of a value is passed on before the value is complete and has been
// checked. So an application that accepts half a body finds no method in it either.
//
// The engine may call Read on another goroutine than the request's; nobody else
// uses a formBody until the engine is done.
type formBody struct {
	io.ReadCloser // the visitor's body
	p             *Proxy
	in            *http.Request
	question      decisionInput // a copy, whose method is replaced by each override
	allowed       access.Decision
	who           *access.Who
	id            *auth.Identity
	asked         bool // the identity has been looked up

	fields *form.Scanner
	left   int64 // bytes of the body not read yet; negative: unknown

	held  []byte // bytes read from the body but not returned by Read yet
	ready int    // how many bytes of held may be returned
	err   error  // what Read returns after them; nil: there is more to read

	refusal *formRefusal // why the body was broken off; nil: it was not
}

// A formRefusal is the reason why a body was broken off.
type formRefusal struct {
	ruling ruling // what the rules say about the overriding method
	err    error  // why it could not be decided; nil: see ruling
}

// errFormRefused is what Read returns to the engine instead of the rest of the
// body.
var errFormRefused = errors.New("a field of the body names a method that is not allowed")

// watchForm replaces the body of in by a formBody if a rule that was evaluated
// depends on the method and the body may be a form. It returns nil if neither is
// so. A form that cannot be scanned, because it has a content coding or a charset
// that some applications decode, is refused (415).
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

// linesOf returns the values of all fields whose name folds to name, since an
// application may read any of these spellings.
func linesOf(h http.Header, name string) (list []string) {
	for n, lines := range h {
		if httpfield.FoldName(n) == name {
			list = append(list, lines...)
		}
	}
	return list
}

// isReadable reports whether a form.Scanner sees the same fields as the
// application: the form has no content coding, and a charset that is compatible
// with ASCII. JSON may be compressed, because no framework looks for a method in
// compressed JSON.
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

// charsetsOf yields each charset that a media type names, in lower case. It is
// lenient on purpose: whatever a tolerant parser could take for a charset is one.
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

// isLikeASCII reports whether a charset is known to encode ASCII characters as
// ASCII does; UTF-16, UTF-7 and EBCDIC don't. "" does. An unknown charset does not.
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

// Read implements io.Reader. It returns no byte of a value that is not complete,
// and errFormRefused once a method has been refused.
func (b *formBody) Read(p []byte) (int, error) {
	for {
		switch {
		case b.ready > 0:
			n := copy(p, b.held[:b.ready])
			b.held = b.held[:copy(b.held, b.held[n:])]
			b.ready -= n
			return n, nil
		case b.err != nil:
			return 0, b.err // bytes that are still held belong to an incomplete value
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

// look reads into p and moves the beginning of an incomplete value from the end of
// p to held.
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

// readHeld reads one more piece into held and releases what is complete. It is used
// while a value is held back.
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

// read reads a piece of the body and checks the methods that it names. If one of
// them is refused it returns no byte of the piece, and errFormRefused.
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

// judge checks the values of method fields. If one is refused it sets b.refusal and
// returns errFormRefused.
func (b *formBody) judge(values []string) error {
	for _, value := range values {
		if b.refusal = b.judgeAs(value); b.refusal != nil {
			return errFormRefused
		}
	}
	return nil
}

// judgeAs decides about the request as if it had the method that a field names. It
// returns nil if the request may pass, or if value names no method. On a public
// path, which needed no identity so far, it looks the identity up before it
// refuses.
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

// identify looks up who sent the form.
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

// refuse returns the error to answer with instead of the application's answer. It
// is the answer that the same method in the query would have got.
func (b *formBody) refuse(w http.ResponseWriter) error {
	b.in.Body = b.ReadCloser // net/http discards the rest of the body
	if b.in.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	if b.refusal.err != nil {
		return b.refusal.err
	}
	return &revisionError{Decision{ruling: b.refusal.ruling, Identity: b.id, DependsOnSession: true}}
}
