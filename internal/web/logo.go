package web

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// MaxLogo is the size of the largest logo in bytes. It is a part of every page.
const MaxLogo = 32 << 10

// ReadLogo returns a picture as a data: URL, for Branding.Logo. The picture is an SVG,
// PNG, JPEG or WebP, recognized by its content, of at most MaxLogo bytes. The text of an
// error continues a sentence that begins with the file, and names the remedy.
//
// Browsers show an SVG in an <img> without running scripts or loading anything. An SVG
// with scripts or external references is refused all the same: it is not what the
// operator believes it to be.
func ReadLogo(data []byte) (template.URL, error) {
	if len(data) > MaxLogo {
		return "", fmt.Errorf("has %d KiB, and is a part of each page; take a picture of %d KiB at most, best an SVG", (len(data)+1023)>>10, MaxLogo>>10)
	}
	var kind string
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		kind = "image/png"
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		kind = "image/jpeg"
	case len(data) > 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		kind = "image/webp"
	default:
		if err := checkSVG(data); err != nil {
			return "", err
		}
		kind = "image/svg+xml"
	}
	return dataURL(kind, data), nil
}

func dataURL(kind string, data []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)) //nolint:gosec // G203: base64
}

// checkSVG refuses what is no SVG, and an SVG with scripts, entities or references.
func checkSVG(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	for root := true; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && !root:
			return nil
		case err != nil:
			return errors.New("is no picture; take an SVG, PNG, JPEG or WebP file")
		}
		if dir, ok := token.(xml.Directive); ok && bytes.Contains(dir, []byte("ENTITY")) {
			return errors.New("is an SVG with entities; save it as a plain SVG")
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root && e.Name.Local != "svg" {
			return errors.New("is no picture; take an SVG, PNG, JPEG or WebP file")
		}
		root = false
		if err := checkElement(e); err != nil {
			return err
		}
	}
}

func checkElement(e xml.StartElement) error {
	switch name := strings.ToLower(e.Name.Local); name {
	case "script", "foreignobject", "iframe", "embed", "object", "handler", "listener":
		return fmt.Errorf("is an SVG with <%s> in it; save it as a plain SVG", e.Name.Local)
	}
	for _, a := range e.Attr {
		name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
		switch {
		case strings.HasPrefix(name, "on"):
			return fmt.Errorf("is an SVG with %s in it, which is a script; save it as a plain SVG", a.Name.Local)
		case (name == "href" || name == "src") && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/"):
			return errors.New("is an SVG that refers to something outside; save it as a plain SVG with everything in it")
		}
	}
	return nil
}
