package portal

import (
	_ "embed" // the icon
	"net/http"
	"strconv"

	"gatehouse/internal/web"
)

//go:embed static/logo.svg
var logoSVG string

// openStyle is the style sheet of all our pages.
func openStyle(p *Portal) (page, error) {
	return page{get: static("text/css; charset=utf-8", p.o.Face.Style())}, nil
}

// openLogo is our icon.
func openLogo(*Portal) (page, error) { return page{get: static("image/svg+xml", logoSVG)}, nil }

// static serves a text that never changes.
func static(kind, text string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		send(w, r, kind, []byte(text))
		return nil
	}
}

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
