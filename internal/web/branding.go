package web

import (
	"html/template"
	"net/http"
	"strings"

	"gatehouse/internal/web/lang"
)

// Branding is how the operator wants our pages to look. The zero value is our own look.
// It must not be changed after a page has been created with it.
type Branding struct {
	Cookie  string       // what the names of our cookies begin with; "": gatehouse
	Accent  Color        // of links and buttons; the zero value: ours
	Logo    template.URL // a picture as a data: URL, so that a page is one request (ReadLogo); "": our gate
	Message string       // a sentence on the login page; "": none
	Links   []Link       // at the foot of each page, in this order
}

// A Link at the foot of our pages leads to help, an imprint, and the like.
type Link struct {
	Text string
	URL  string // https, http, mailto, or a path of the site
}

// LanguageCookie is the end of the name of the cookie that holds the language which a
// visitor has chosen. The full name is Branding.Cookie, an underscore and this, with
// the prefix __Host- over https.
const LanguageCookie = "lang"

// Language returns the visitor's language: the one they have chosen (LanguageCookie),
// else the one their browser prefers (Accept-Language), else English. It is never nil.
func (b *Branding) Language(r *http.Request) *lang.Language {
	base := b.Cookie
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

// PageData is the data that every page needs besides its own content. The data of
// every template embed it.
type PageData struct {
	// Lang is the reader's language: .Lang.Tag for <html lang>, .Lang.Dir for its dir
	// (ltr or rtl), .Lang.Name for what its readers call it.
	Lang *lang.Language
	// Here is the path and query of the page, to which the menu of languages returns.
	Here string
	// Logo, Message and Links are those of Branding.
	Logo    template.URL
	Message string
	Links   []Link
}

// PageData returns the data that every page has, for the visitor. here is the path
// and query of the page.
func (b *Branding) PageData(r *http.Request, here string) PageData {
	return PageData{Lang: b.Language(r), Here: here, Logo: b.Logo, Message: b.Message, Links: b.Links}
}

// T returns a text in the reader's language: {{.T "Sign in"}}. A text that has no
// translation is returned as it is.
func (d PageData) T(text string) string { return d.Lang.T(text) }

// N returns a text with a number in the reader's language, in the plural form of n:
// {{.N "At least {n} characters." 15}}.
func (d PageData) N(text string, n int) string { return d.Lang.N(text, n) }

// Languages returns the languages that the menu offers.
func (d PageData) Languages() []*lang.Language { return lang.All() }

// favicon returns our gate in the accent color, as a data: URL.
func (b *Branding) favicon() template.URL {
	return dataURL("image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="`+b.Accent.or(ourAccent).String()+`" d="`+gate+`"/></svg>`))
}

// gate is our mark, as the d of an SVG path.
const gate = "M3 29V11h4V7h4v4h10V7h4v4h4v18H20v-7a4 4 0 0 0-8 0v7z"
