package web

import (
	"html/template"
	"net/http"
	"strings"

	"gatehouse/internal/web/lang"
)

// A Branding is what an operator puts on our pages. The zero value is a face of
// our own. It is never changed.
type Branding struct {
	Cookie  string       // the beginning of our cookies' names; "": gatehouse
	Accent  Color        // of links and buttons; the zero value: ours
	Logo    template.URL // a picture as a data: address, so that a page is one request; "": our gate
	Message string       // a sentence on the login page; "": none
	Links   []Link       // at the foot of each page
}

// A Link leads to help, or to what a visitor may want to read.
type Link struct {
	Text string
	URL  string // https, http, mailto, or a path of the site
}

// LanguageCookie is the kind of the cookie that holds the language which a
// visitor has chosen: its name is the beginning of our cookies' names, an
// underscore and the kind; over https with __Host- before it.
const LanguageCookie = "lang"

// Language gives the language for the visitor: the chosen one, else what the
// browser asks for, else English.
func (f *Branding) Language(r *http.Request) *lang.Language {
	base := f.Cookie
	if base == "" {
		base = "gatehouse"
	}
	chosen := ""
	for _, name := range []string{"__Host-" + base + "_" + LanguageCookie, base + "_" + LanguageCookie} {
		if c, err := r.Cookie(name); err == nil && chosen == "" {
			chosen = c.Value
		}
	}
	return lang.Match(chosen, strings.Join(r.Header["Accept-Language"], ","))
}

// A PageData is what each page of ours has besides its own content. It is part
// of the data of every template.
type PageData struct {
	// Lang is the reader's language: .Lang.Tag for <html lang>, .Lang.Dir for
	// its dir (ltr or rtl), .Lang.Name as its readers call it.
	Lang *lang.Language
	// Here is the page's own path and query, which the menu of languages leads
	// back to.
	Here string
	// Logo, Message and Links are the operator's: see Face.
	Logo    template.URL
	Message string
	Links   []Link
}

// Frame gives the frame of a page for the visitor. here is the page's path and
// query.
func (f *Branding) Frame(r *http.Request, here string) PageData {
	return PageData{Lang: f.Language(r), Here: here, Logo: f.Logo, Message: f.Message, Links: f.Links}
}

// T says a text in the reader's language: {{.T "Sign in"}}. What is not known
// is said as it is.
func (f PageData) T(text string) string { return f.Lang.T(text) }

// N says a text of n things: {{.N "At least {n} characters." 15}}.
func (f PageData) N(text string, n int) string { return f.Lang.N(text, n) }

// Languages are those that the menu offers.
func (f PageData) Languages() []*lang.Language { return lang.All() }

// favicon is our gate in the accent of the face.
func (f *Branding) favicon() template.URL {
	return dataURL("image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="`+f.Accent.or(ourAccent).String()+`" d="`+gate+`"/></svg>`))
}

// gate is the path of our mark.
const gate = "M3 29V11h4V7h4v4h10V7h4v4h4v18H20v-7a4 4 0 0 0-8 0v7z"
