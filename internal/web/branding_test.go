package web

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/web/lang"
)

// Whatever the accent is, what is written in it and on it can be read, light
// and dark.
func TestAccentsCanBeRead(t *testing.T) {
	t.Parallel()
	for r := 0; r < 256; r += 51 {
		for g := 0; g < 256; g += 51 {
			for b := 0; b < 256; b += 51 {
				c := Color{uint8(r), uint8(g), uint8(b), true}
				light, dark := c.against(lightPaper, black), c.against(darkCard, white)
				for _, pair := range [][2]Color{{light, lightPaper}, {light, white}, {dark, darkCard}, {light, light.ink()}, {dark, dark.ink()}} {
					if got := pair[0].contrast(pair[1]); got < legible {
						t.Errorf("%s: %s on %s has the contrast %.2f", c, pair[0], pair[1], got)
					}
				}
			}
		}
	}
	if got := ourAccent.against(lightPaper, black); got != ourAccent {
		t.Errorf("our accent becomes %s", got)
	}
	if got := white.contrast(Color{0, 0, 0, true}); got != 21 {
		t.Errorf("black on white has the contrast %v", got)
	}
}

func TestParseColor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"#0a7f5a": "#0a7f5a", "#FF0": "#ffff00"} {
		if c, err := ParseColor(text); err != nil || c.String() != want {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "#", "red", "0a7f5a", "#0a7f5", "#0a7f5g", "#+a7f5a", "#0a7f5a;}", "#0a7f5a80"} {
		if c, err := ParseColor(text); err == nil {
			t.Errorf("%q is taken for %v", text, c)
		}
	}
}

func TestReadLogo(t *testing.T) {
	t.Parallel()
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">`
	for name, c := range map[string]struct{ data, want string }{
		"PNG":                {"\x89PNG\r\n\x1a\nrest", "data:image/png;base64,"},
		"JPEG":               {"\xff\xd8\xff\xe0rest", "data:image/jpeg;base64,"},
		"WebP":               {"RIFF\x00\x00\x00\x00WEBPrest", "data:image/webp;base64,"},
		"SVG":                {`<?xml version="1.0"?><!-- x -->` + svg + `<style>a{}</style><use href="#a"/><image href="data:image/png;base64,AA"/></svg>`, "data:image/svg+xml;base64,"},
		"script":             {svg + `<script>alert(1)</script></svg>`, "<script>"},
		"script, capitals":   {svg + `<SCRIPT>alert(1)</SCRIPT></svg>`, "<SCRIPT>"},
		"script, namespaced": {svg + `<svg:script xmlns:svg="http://www.w3.org/2000/svg"/></svg>`, "<script>"},
		"handler":            {svg + `<a onclick="x()"/></svg>`, "onclick"},
		"javascript":         {svg + `<a xlink:href="javascript:x()"/></svg>`, "outside"},
		"outside":            {svg + `<image href="https://evil.test/"/></svg>`, "outside"},
		"foreign":            {svg + `<foreignObject/></svg>`, "foreignObject"},
		"entities":           {`<!DOCTYPE svg [<!ENTITY a "b">]>` + svg + `</svg>`, "entities"},
		"HTML":               {`<html></html>`, "no picture"},
		"broken":             {svg, "no picture"},
		"empty":              {"", "no picture"},
		"text":               {"hello", "no picture"},
		"large":              {"\x89PNG\r\n\x1a\n" + strings.Repeat("x", MaxLogo), "33 KiB"},
	} {
		logo, err := ReadLogo([]byte(c.data))
		if strings.HasPrefix(c.want, "data:") {
			if want := c.want + base64.StdEncoding.EncodeToString([]byte(c.data)); err != nil || string(logo) != want {
				t.Errorf("%s: %v, %s", name, err, logo)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s in it", name, err, c.want)
		}
	}
}

func FuzzReadLogo(f *testing.F) {
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><a href="#"/></svg>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		logo, err := ReadLogo(data)
		if (err == nil) != strings.HasPrefix(string(logo), "data:image/") {
			t.Errorf("%v, %s", err, logo)
		}
	})
}

// The error page says when to try again, and leads to nowhere but this site.
func TestErrorPages(t *testing.T) {
	t.Parallel()
	pages, err := NewPages(Branding{})
	if err != nil {
		t.Fatal(err)
	}
	show := func(target, language string, failure error) (*httptest.ResponseRecorder, string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.Path = target
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Language", language)
		w := httptest.NewRecorder()
		pages.Answer(w, r, failure)
		return w, w.Body.String()
	}
	w, body := show("/x", "de", Later(http.StatusServiceUnavailable, "", 5*time.Minute, nil))
	for _, want := range []string{`<html lang="de" dir="ltr">`, "<h1>Gerade nicht verfügbar</h1>", "in 5 Minuten", `<a href="">`} {
		if !strings.Contains(body, want) {
			t.Errorf("503 lacks %s:\n%s", want, body)
		}
	}
	if vary := w.Header().Get("Vary"); vary != "Accept-Language" {
		t.Errorf("Vary is %q", vary)
	}
	if _, body := show("//evil.test/", "en", Refuse(http.StatusBadGateway, "")); strings.Contains(body, `href="//`) {
		t.Errorf("the page leads to another site:\n%s", body)
	}
	for code := range titles {
		if code == 0 {
			continue
		}
		for _, l := range lang.All() {
			if _, body := show("/x", l.Tag, Refuse(code, "")); len(body) > 15<<10 || !strings.Contains(body, `<html lang="`+l.Tag+`"`) {
				t.Errorf("%d in %s has %d bytes: %.100s", code, l.Tag, len(body), body)
			}
		}
	}
}
