package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the style sheet and the error page
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

//go:embed style.css
var style string

//go:embed error.html
var errorHTML string

// Style is the style sheet of all our pages. Pages carry it inside, as
// <style>{{style}}</style>, so that a page is one request.
func Style() string { return style }

// A Page is an HTML page of ours: a template, checked when it is made, and
// the Content-Security-Policy that lets through exactly the inline styles
// and scripts that its source holds.
type Page struct {
	name string
	t    *template.Template
	csp  string
}

// NewPage parses src, an html/template with the function {{style}}, and
// renders it once with sample, so that a mistake shows at start and not at
// the first visitor. A nil sample is not rendered.
//
// What stands between <style> and </style>, or <script> and </script>, must
// be fixed text (or {{style}} alone), because the policy names its hash.
func NewPage(name, src string, sample any) (*Page, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // G203: our own style sheet
	}).Option("missingkey=error").Parse(src)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	p := &Page{name: name, t: t}
	styles, err := hashes(src, "style")
	if err != nil {
		return nil, err
	}
	scripts, err := hashes(src, "script")
	if err != nil {
		return nil, err
	}
	p.csp = policy(styles, scripts)
	if sample != nil {
		if err := t.Execute(&bytes.Buffer{}, sample); err != nil {
			return nil, fmt.Errorf("render page: %w", err)
		}
	}
	return p, nil
}

// Write renders the page and sends it with the headers that all our pages
// have. Nothing is sent when the template fails.
func (p *Page) Write(w http.ResponseWriter, r *http.Request, code int, data any) error {
	var b bytes.Buffer
	if err := p.t.Execute(&b, data); err != nil {
		return Fail(http.StatusInternalServerError, "", fmt.Errorf("render page %s: %w", p.name, err))
	}
	h := w.Header()
	PageHeaders(r, h)
	h.Set("Content-Security-Policy", p.csp)
	h.Set("Content-Type", "text/html; charset=utf-8")
	send(w, r, code, b.Bytes())
	return nil
}

// PageHeaders sets the headers that all answers of our own carry: never
// stored, never framed, never guessed at, never indexed (contract: Endpoints),
// and over https, never again without it (HSTS, RFC 6797).
func PageHeaders(r *http.Request, h http.Header) {
	if From(r.Context()).Secure() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy(nil, nil))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func policy(styles, scripts []string) string {
	var b strings.Builder
	b.WriteString("default-src 'none'; img-src 'self' data:")
	for _, list := range []struct {
		directive string
		hashes    []string
	}{{"style-src", styles}, {"script-src", scripts}} {
		if len(list.hashes) > 0 {
			b.WriteString("; " + list.directive + " " + strings.Join(list.hashes, " "))
		}
	}
	b.WriteString("; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	return b.String()
}

// hashes gives the CSP hash of each inline block of the tag in src.
func hashes(src, tag string) ([]string, error) {
	blocks := regexp.MustCompile(`(?is)<`+tag+`\b[^>]*>(.*?)</`+tag+`\s*>`).FindAllStringSubmatch(src, -1)
	var list []string
	for _, b := range blocks {
		text := b[1]
		if strings.TrimSpace(text) == "{{style}}" && tag == "style" {
			text = strings.Replace(text, "{{style}}", style, 1)
		}
		if strings.Contains(text, "{{") {
			return nil, fmt.Errorf("a <%s> block must be fixed text, because the Content-Security-Policy names its hash: found %.40q", tag, strings.TrimSpace(text))
		}
		text, err := sent(tag, text)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(text))
		list = append(list, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return list, nil
}

// sent gives the text of a block as html/template sends it: without comments.
func sent(tag, text string) (string, error) {
	t, err := template.New(tag).Parse("<" + tag + ">" + text + "</" + tag + ">")
	if err != nil {
		return "", fmt.Errorf("parse a <%s> block: %w", tag, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", fmt.Errorf("render a <%s> block: %w", tag, err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "<"+tag+">"), "</"+tag+">"), nil
}

// Pages answers errors. It is safe for concurrent use.
type Pages struct {
	failure *Page
}

// A failure is the data of error.html.
type failure struct {
	Code      int
	Title     string
	Message   string
	RequestID string
	Home      bool // offer the way to the front page
	Account   bool // offer the account page
}

// NewPages parses the error page.
func NewPages() (*Pages, error) {
	p, err := NewPage("error.html", errorHTML, failure{})
	if err != nil {
		return nil, fmt.Errorf("error page: %w", err)
	}
	return &Pages{failure: p}, nil
}

// Answer is the one place that answers an error: an HTML page for a person
// who goes somewhere, problem+json (RFC 9457) for everything else. It notes
// the error for the access line. An error after the answer has begun breaks
// the answer off.
func (p *Pages) Answer(w http.ResponseWriter, r *http.Request, err error) {
	e := AsError(err)
	info := From(r.Context())
	if e.Err != nil {
		info.Failure = e
	}
	if rec, ok := w.(*Recorder); ok && rec.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), e.Header)
	if IsNavigation(r) {
		perr := p.failure.Write(w, r, e.Code, failure{
			Code: e.Code, Title: http.StatusText(e.Code), Message: e.text(), RequestID: info.ID,
			Account: e.Code == http.StatusForbidden,
		})
		if perr == nil {
			return
		}
		info.Failure = errors.Join(info.Failure, perr)
	}
	WriteProblem(w, r, Problem{Status: e.Code, Detail: e.text()})
}

// A Problem is the body of an answer to a program (RFC 9457).
type Problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	LoginURL  string `json:"login_url,omitempty"` // where a person signs in; in a 401
}

// WriteProblem sends p; Title and RequestID are filled in when empty.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.RequestID == "" {
		p.RequestID = From(r.Context()).ID
	}
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte("{}") // four strings and a number: cannot happen
	}
	PageHeaders(r, w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	send(w, r, p.Status, append(body, '\n'))
}

func send(w http.ResponseWriter, r *http.Request, code int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who left is no failure of ours
	}
}

// AddVary adds field to Vary once.
func AddVary(h http.Header, field string) {
	for _, line := range h["Vary"] {
		for part := range strings.SplitSeq(line, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || strings.EqualFold(part, field) {
				return
			}
		}
	}
	h.Add("Vary", field)
}
