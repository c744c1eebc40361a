package portal

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"gatehouse/internal/web"
)

const (
	maxBody         = 8 << 10          // largest request body on our own pages, in bytes
	defaultBodyTime = 10 * time.Second // time to send it; see Options.BodyTime
)

// A form holds the fields that were posted to one of our pages. Each has exactly
// one value.
type form map[string]string

// readForm reads and parses the body of a POST. It is strict, so that no other
// parser could read the body differently. Every error is a *web.Error for the
// visitor: 400, 408, 413 or 415.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if err := noCredentials(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if err := urlencoded(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		e := web.Refuse(http.StatusRequestTimeout, "The request did not arrive in time.")
		e.Header = http.Header{"Connection": {"close"}}
		return nil, e
	case err != nil:
		return nil, web.Fail(http.StatusBadRequest, "", fmt.Errorf("read a form: %w", err))
	case len(body) > maxBody:
		return nil, tooLarge()
	}
	// The body is complete. The handler may now wait for a hash, and must not be
	// cut off by the deadline that limitBody has set.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return parseForm(string(body))
}

// limitBody sets the deadline for the request body. It also applies to a body that
// no handler reads, because the server reads the rest after the handler returns.
func limitBody(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if r.ContentLength != 0 {
		// A ResponseWriter without deadlines has no connection either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
	}
}

// tooLarge returns a 413 that closes the connection, so that the rest of the body
// is not read.
func tooLarge() error {
	e := web.Refuse(http.StatusRequestEntityTooLarge, "That is more than this page accepts.")
	e.Header = http.Header{"Connection": {"close"}}
	return e
}

// urlencoded returns a 415 unless the header is that of a plain HTML form in UTF-8.
func urlencoded(h http.Header) error {
	unsupported := web.Refuse(http.StatusUnsupportedMediaType, "This page takes only its own form.")
	types := h.Values("Content-Type")
	if len(types) != 1 || len(h.Values("Content-Encoding")) > 0 {
		return unsupported
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return unsupported
	}
	for name, v := range params {
		if name != "charset" || !strings.EqualFold(v, "utf-8") {
			return unsupported
		}
	}
	return nil
}

// parseForm parses application/x-www-form-urlencoded. A repeated field, a broken
// escape, or a semicolon, which some parsers take for a separator, is a 400.
func parseForm(body string) (form, error) {
	malformed := web.Refuse(http.StatusBadRequest, "The form is malformed.")
	if strings.Contains(body, ";") {
		return nil, malformed
	}
	f := make(form)
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, kerr := url.QueryUnescape(k)
		value, verr := url.QueryUnescape(v)
		if _, twice := f[key]; kerr != nil || verr != nil || twice {
			return nil, malformed
		}
		f[key] = value
	}
	return f, nil
}

// noCredentials returns a 400 if the query has a name or a password: queries end up
// in logs, histories and Referer headers.
func noCredentials(query string) error {
	for part := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		switch strings.ToLower(name) {
		case "username", "password", "old_password", "new_password", "new_password_again":
			return web.Refuse(http.StatusBadRequest, "A name or password must not be part of the address.")
		}
	}
	return nil
}

// nextOf returns the return-to address of the query, from next or, without that,
// from rd. It returns "/" and false if there is none or it is not safe.
func (p *Portal) nextOf(r *http.Request) (string, bool) {
	values, _ := url.ParseQuery(r.URL.RawQuery) // malformed fields are ignored
	for _, name := range []string{"next", "rd"} {
		if list := values[name]; len(list) > 0 {
			return p.safeNext(r, list[0])
		}
	}
	return "/", false
}

// nextIn is nextOf for the form or, if that has no field next, for the query.
func (p *Portal) nextIn(f form, r *http.Request) (string, bool) {
	if next, ok := f["next"]; ok {
		return p.safeNext(r, next)
	}
	return p.nextOf(r)
}
