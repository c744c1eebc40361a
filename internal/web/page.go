package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // what the pages are made of
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

var (
	//go:embed style.css
	styleSource string
	//go:embed script.js
	scriptSource string
	//go:embed frame.html
	frameHTML string
	//go:embed error.html
	errorHTML string
)

// Style returns the style sheet of our pages, without comments and needless spaces.
// Pages hold it themselves, as <style>{{style}}</style>, so that a page is one
// request.
func (b *Branding) Style() string {
	plain := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(styleSource, "")
	plain = strings.Join(strings.Fields(plain), " ")
	plain = regexp.MustCompile(` ?([{};,]) ?`).ReplaceAllString(plain, "$1")
	return strings.ReplaceAll(plain, ": ", ":") + b.Accent.style()
}

// script returns what <script>{{script}}</script> stands for: script.js without its
// comments, which must be lines of their own.
func script() string {
	var b strings.Builder
	for line := range strings.Lines(scriptSource) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// A Page is an HTML page of ours: a template, and a Content-Security-Policy that
// allows exactly the inline styles and scripts in its source. It is safe for
// concurrent use.
type Page struct {
	name string
	t    *template.Template
	csp  string
}

// NewPage parses src, an html/template, and renders it once with sample, so that a
// mistake shows at the start and not to the first visitor. It is not rendered if
// sample is nil. Errors name the line of src. A template may use
//
//	<style>{{style}}</style>      our style sheet
//	<script>{{script}}</script>   our script, which no page needs
//	{{template "head" .}}         character set, width of the screen, icon
//	{{template "logo" .}}         the operator's picture, or our gate
//	{{template "foot" .}}         the operator's links and the menu of languages
//	{{template "show" .}}         the box that shows a password, in an element with its field
//	{{template "capslock" .}}     what is shown while capitals are typed there
//
// with data that embed PageData. What stands between <style> and </style>, or <script>
// and </script>, must be fixed text, or {{style}} or {{script}} alone, because the
// policy names its hash.
func NewPage(name, src string, branding Branding, sample any) (*Page, error) {
	inline := map[string]string{"style": branding.Style(), "script": script()}
	t, err := template.New("frame.html").Funcs(template.FuncMap{
		"style":   func() template.CSS { return template.CSS(inline["style"]) }, //nolint:gosec // G203: our own style sheet
		"script":  func() template.JS { return template.JS(inline["script"]) },  //nolint:gosec // G203: our own script
		"favicon": branding.favicon,
	}).Option("missingkey=error").Parse(frameHTML)
	if err == nil {
		t, err = t.New(name).Parse(src)
	}
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	p := &Page{name: name, t: t}
	styles, err := hashes(name, src, "style", inline["style"])
	if err != nil {
		return nil, err
	}
	scripts, err := hashes(name, src, "script", inline["script"])
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

// AllowExternalForms allows the page's forms to end at another site, and returns p. It
// is for forms behind which an application may redirect the visitor elsewhere:
// Chromium checks form-action against every redirect that follows the form, not only
// against where it is sent, and would leave the visitor on the page without a word.
func (p *Page) AllowExternalForms() *Page {
	p.csp = strings.Replace(p.csp, "form-action 'self'", "form-action 'self' https: http:", 1)
	return p
}

// Write renders the page with data, which embed the visitor's PageData, and sends it
// with the status code and PageHeaders. If the template fails, nothing is sent and
// the error is a 500. A visitor who has left is no error.
func (p *Page) Write(w http.ResponseWriter, r *http.Request, code int, data any) error {
	var b bytes.Buffer
	if err := p.t.Execute(&b, data); err != nil {
		return Fail(http.StatusInternalServerError, "", fmt.Errorf("render page %s: %w", p.name, err))
	}
	h := w.Header()
	PageHeaders(r, h)
	h.Set("Content-Security-Policy", p.csp)
	h.Set("Content-Type", "text/html; charset=utf-8")
	AddVary(h, "Accept-Language")
	send(w, r, code, b.Bytes())
	return nil
}

// PageHeaders sets the headers of all our own answers: they are not stored, not framed,
// not sniffed and not indexed, and over https they ask the browser to stay there
// (HSTS, RFC 6797), unless the answer has a Strict-Transport-Security already.
func PageHeaders(r *http.Request, h http.Header) {
	if _, ok := h[hstsHeader]; !ok && From(r.Context()).Secure() {
		h[hstsHeader] = []string{DefaultHSTS}
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy(nil, nil))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// policy returns the Content-Security-Policy of a page with inline blocks of these
// hashes.
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

// hashes returns the CSP hash of each inline block of the tag in src. ours is the text
// of a block that is nothing but a call of the template function of that name.
func hashes(name, src, tag, ours string) ([]string, error) {
	block := regexp.MustCompile(`(?is)<` + tag + `\b[^>]*>(.*?)</` + tag + `\s*>`)
	var list []string
	for _, at := range block.FindAllStringSubmatchIndex(src, -1) {
		source := src[at[2]:at[3]]
		text, err := sent(tag, source)
		if call := "{{" + tag + "}}"; strings.TrimSpace(source) == call {
			text, err = strings.Replace(source, call, ours, 1), nil
		} else if strings.Contains(source, "{{") {
			return nil, fmt.Errorf("template: %s:%d: a <%s> block must be fixed text, because the Content-Security-Policy names its hash: found %.40q",
				name, 1+strings.Count(src[:at[0]], "\n"), tag, strings.TrimSpace(source))
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(text))
		list = append(list, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return list, nil
}

// sent returns the text of a block as html/template sends it, without comments.
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

// send writes body, which HEAD gets none of, with its length.
func send(w http.ResponseWriter, r *http.Request, code int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who has left is no error
	}
}

// AddVary adds field to Vary, unless it or * is there already.
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
