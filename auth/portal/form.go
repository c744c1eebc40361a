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
	maxBody         = 8 << 10          // bytes of a body on our own pages
	defaultBodyTime = 10 * time.Second // to read it
)

// A form is what was posted to one of our pages: one value a field.
type form map[string]string

// readForm reads the body of a POST, strictly: two readers of it could not
// read different things. An error is a *web.Error for the visitor.
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
	// What follows may wait for a hash, and must not be cut off by the
	// deadline for the body.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return parseForm(string(body))
}

// limitBody gives the visitor as long as limit to send the body, also one that
// nobody reads: the server reads the rest of it after the handler.
func limitBody(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if r.ContentLength != 0 {
		// A ResponseWriter without deadlines has no connection either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
	}
}

func tooLarge() error {
	e := web.Refuse(http.StatusRequestEntityTooLarge, "That is more than this page accepts.")
	e.Header = http.Header{"Connection": {"close"}}
	return e
}

// urlencoded refuses every body but a plain HTML form in UTF-8.
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

// parseForm reads application/x-www-form-urlencoded. A field that stands
// there twice, a broken escape, or a semicolon (a separator to some) is an
// error.
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

// noCredentials refuses a query that holds what belongs into a body: queries
// end in logs, histories and Referer headers.
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

// nextOf returns the return-to address of the query; next before rd. What is
// not safe is "/".
func (p *Portal) nextOf(r *http.Request) (string, bool) {
	values, _ := url.ParseQuery(r.URL.RawQuery) // what cannot be read is not there
	for _, name := range []string{"next", "rd"} {
		if list := values[name]; len(list) > 0 {
			return p.safeNext(r, list[0])
		}
	}
	return "/", false
}

// nextIn returns the return-to address of the form or, where that has none, of
// the query.
func (p *Portal) nextIn(f form, r *http.Request) (string, bool) {
	if next, ok := f["next"]; ok {
		return p.safeNext(r, next)
	}
	return p.nextOf(r)
}
