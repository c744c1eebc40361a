package portal

import (
	_ "embed" // the icon
	"net/http"
	"strconv"

	"gatehouse/internal/web"
)

//go:embed static/logo.svg
var logoSVG string

// openStyle returns the style sheet of all our pages, with the operator's colours.
func openStyle(p *Portal) (page, error) {
	return page{get: static("text/css; charset=utf-8", p.o.Face.Style())}, nil
}

// openLogo returns our icon. The operator's logo is part of the pages themselves.
func openLogo(*Portal) (page, error) { return page{get: static("image/svg+xml", logoSVG)}, nil }

// static returns a handler that serves a fixed text of the given media type.
func static(kind, text string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		send(w, r, kind, []byte(text))
		return nil
	}
}

// send writes a 200 with the body, or only its header for a HEAD. Other sites cannot
// embed it.
func send(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	h := w.Header()
	web.PageHeaders(r, h)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who left is no failure of ours
	}
}
