// Package demo is the small application that `gatehouse demo` puts behind the
// gate. It has no login, sessions or accounts of its own: it believes the header
// X-Forwarded-User, as many old applications do, and shows what reaches it, so
// that a visitor sees at a glance what the gate does.
//
//	/            who the gate says the visitor is, and every header that arrived
//	/headers     the same as JSON
//	/form        a form, echoed
//	/upload      size and SHA-256 of each file
//	/download    ?n= bytes, with or without a length, ranges allowed
//	/events      server-sent events
//	/echo        a WebSocket that sends back what it receives
//	/live        a page that shows /events and /echo at work
//	/slow        answers after ?s= seconds
//	/broken      promises more than it sends and breaks off
//	/spoof       sends a forged identity header and shows what became of it
//	/admin       for the gate to keep for the group admins
//	/public      for the gate to let anybody see
//
// The application checks nothing itself: the rules of the gate say that /admin
// needs a group and that /public needs no login. Without a gate in front,
// everything is open and X-Forwarded-User is whatever the client wrote, which is
// the point.
package demo

import (
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed files
var files embed.FS

// An app is the application. It does not change after New.
type app struct {
	pages *template.Template
}

// New returns the application. It keeps no state and is safe for concurrent use.
func New() http.Handler {
	a := &app{pages: template.Must(template.ParseFS(files, "files/*.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /headers", headers)
	mux.HandleFunc("GET /form", a.form)
	mux.HandleFunc("POST /form", a.form)
	mux.HandleFunc("GET /upload", a.upload)
	mux.HandleFunc("POST /upload", a.upload)
	mux.HandleFunc("GET /download", download)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("GET /echo", echo)
	mux.HandleFunc("GET /live", a.plain("live"))
	mux.HandleFunc("GET /slow", a.slow)
	mux.HandleFunc("GET /broken", broken)
	mux.HandleFunc("GET /spoof", a.plain("spoof"))
	mux.HandleFunc("GET /admin", a.plain("admin"))
	mux.HandleFunc("GET /public", a.plain("public"))
	mux.HandleFunc("GET /app.css", static("files/app.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /app.js", static("files/app.js", "text/javascript; charset=utf-8"))
	return polite(mux)
}

// polite sets the headers of a careful application in every response. Pages are
// not stored, so the back button shows nothing after the visitor has signed out.
func polite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// arrived is what the application sees of a request: all that a page shows, and
// the JSON of /headers. Values of cookies are left out, since the page may be
// shared.
type arrived struct {
	User    string   `json:"user"`   // X-Forwarded-User; "": nobody
	Groups  string   `json:"groups"` // X-Forwarded-Groups, with commas
	Method  string   `json:"method"`
	Target  string   `json:"target"` // as in the request line
	Host    string   `json:"host"`
	Proto   string   `json:"proto"`
	Headers []field  `json:"headers"` // sorted by name
	Cookies []string `json:"cookies"` // names only
}

// field is one header line, or one field of a form.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Ours  bool   `json:"identity,omitempty"` // the gate says with it who the visitor is
}

// Class returns where a header comes from: "identity" if the gate says with it
// who the visitor is, "connection" if it describes the connection, else
// "browser".
func (f field) Class() string {
	switch {
	case f.Ours:
		return "identity"
	case strings.HasPrefix(f.Name, "X-Forwarded-"), f.Name == "Forwarded", f.Name == "X-Real-Ip", f.Name == "X-Request-Id":
		return "connection"
	}
	return "browser"
}

// read returns what arrived with the request. Its lists are never nil, so that
// the JSON has [] and not null.
func read(r *http.Request) arrived {
	a := arrived{
		User: r.Header.Get("X-Forwarded-User"), Groups: r.Header.Get("X-Forwarded-Groups"),
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto,
		Headers: []field{}, Cookies: []string{},
	}
	for name, values := range r.Header {
		for _, v := range values {
			a.Headers = append(a.Headers, field{name, v, isIdentity(name)})
		}
	}
	slices.SortStableFunc(a.Headers, func(x, y field) int { return strings.Compare(x.Name, y.Name) })
	for _, c := range r.Cookies() {
		a.Cookies = append(a.Cookies, c.Name)
	}
	return a
}

// isIdentity reports whether the gate sends the header by default to say who the
// visitor is.
func isIdentity(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username":
		return true
	}
	return false
}

// page is an entry of the menu.
type page struct{ Path, Name string }

// pages returns the menu, in its order.
func pages() []page {
	return []page{
		{"/", "Headers"},
		{"/spoof", "Spoof"},
		{"/form", "Form"},
		{"/upload", "Upload"},
		{"/download", "Download"},
		{"/live", "Live"},
		{"/admin", "Admins"},
		{"/public", "Public"},
		{"/slow", "Slow"},
		{"/broken", "Broken"},
	}
}

// view is the data of a template.
type view struct {
	arrived
	Pages []page
	Path  string  // path of this page, to mark it in Pages
	Form  []field // what was sent to /form
	Files []file  // what was sent to /upload
	Slept string  // how long /slow has waited
}

// newView returns what every page shows of the request.
func newView(r *http.Request) view { return view{arrived: read(r), Path: r.URL.Path} }

// show writes a page. The template is executed straight into the response without
// a buffer: templates are our own, fixed files, and the tests run every one.
func (a *app) show(w http.ResponseWriter, name string, v view) {
	v.Pages = pages()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := a.pages.ExecuteTemplate(w, name+".html", v); err != nil {
		panic(http.ErrAbortHandler) // the visitor has left, or half a page has been sent
	}
}

// index is the page with everything that arrived.
func (a *app) index(w http.ResponseWriter, r *http.Request) {
	a.show(w, "index", newView(r))
}

// plain returns the handler of a page that depends on nothing but the request's
// headers.
func (a *app) plain(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.show(w, name, newView(r))
	}
}

// headers answers with everything that arrived, as JSON.
func headers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(read(r)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// static returns the handler of an embedded file. It sets the type itself, so
// that no table of the system decides it.
func static(name, mime string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mime)
		http.ServeFileFS(w, r, files, name)
	}
}
