package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Color is an opaque color of sRGB. The zero value is no color.
type Color struct {
	r, g, b uint8
	set     bool
}

// The colors in style.css that an accent stands on, and our own accent.
var (
	ourAccent  = Color{0x1f, 0x5f, 0xbf, true}
	lightPaper = Color{0xf4, 0xf5, 0xf7, true}
	darkCard   = Color{0x1d, 0x22, 0x29, true}
	white      = Color{0xff, 0xff, 0xff, true}
	black      = Color{0x0b, 0x0e, 0x12, true}
)

// ParseColor parses #rgb or #rrggbb.
func ParseColor(s string) (Color, error) {
	hex, ok := strings.CutPrefix(s, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 24)
	if !ok || len(hex) != 6 || err != nil {
		return Color{}, fmt.Errorf("%q is no colour", s)
	}
	return Color{uint8(n >> 16), uint8(n >> 8), uint8(n), true}, nil //nolint:gosec // G115: 24 bits
}

// String returns the color as #rrggbb.
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// or returns c, or other if c is no color.
func (c Color) or(other Color) Color {
	if c.set {
		return c
	}
	return other
}

// legible is the least contrast of text (WCAG 2.2, 1.4.3).
const legible = 4.5

// style returns CSS that makes c the accent of our pages, changed as little as keeps
// text in it legible on light and on dark pages; "" for the zero value.
func (c Color) style() string {
	if !c.set {
		return ""
	}
	light, dark := c.against(lightPaper, black), c.against(darkCard, white)
	return fmt.Sprintf(":root{--accent:%s;--on-accent:%s}@media(prefers-color-scheme:dark){:root{--accent:%s;--on-accent:%s}}",
		light, light.ink(), dark, dark.ink())
}

// against returns c mixed with as little of towards as makes it legible on paper.
func (c Color) against(paper, towards Color) Color {
	for step := range 101 {
		if m := c.mix(towards, float64(step)/100); m.contrast(paper) >= legible {
			return m
		}
	}
	return towards
}

// ink returns the color of text on c, white or black: the one with more contrast.
func (c Color) ink() Color {
	if c.contrast(white) >= c.contrast(black) {
		return white
	}
	return black
}

// mix returns c with a share of d, from 0 to 1.
func (c Color) mix(d Color, share float64) Color {
	part := func(x, y uint8) uint8 { return uint8(math.Round(float64(x)*(1-share) + float64(y)*share)) }
	return Color{part(c.r, d.r), part(c.g, d.g), part(c.b, d.b), true}
}

// contrast returns the contrast ratio of WCAG 2.2, from 1 to 21.
func (c Color) contrast(d Color) float64 {
	x, y := c.luminance(), d.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// luminance returns the relative luminance of WCAG 2.2, from 0 to 1.
func (c Color) luminance() float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}
