// Package plot draws bar charts as SVG: readable on light and dark pages, without
// scripts or fonts of their own.
package plot

import (
	"fmt"
	"html"
	"strings"
)

// A Panel is a group of bars with one scale.
type Panel struct {
	Title string
	Bars  []Bar
}

// A Bar is one horizontal bar. A negative value is drawn as 0.
type Bar struct {
	Label string
	Value float64
	Text  string // what stands at its end
	Ours  bool   // drawn in the other colour
}

// Measures, in pixels.
const (
	width     = 760
	margin    = 16
	labels    = 200 // for the labels
	texts     = 90  // for the texts at the ends
	barHeight = 20
	step      = 28 // from bar to bar
	heading   = 34
)

const style = `text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.s{fill:#57606a}.b{fill:#8c959f}.o{fill:#0969da}` +
	`@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.b{fill:#656c76}.o{fill:#4493f8}}`

// SVG returns a picture of the panels below each other, under a title.
func SVG(caption string, panels []Panel) string {
	height := 2*margin + heading
	for _, p := range panels {
		height += heading + step*len(p.Bars)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`,
		width, height, width, height, html.EscapeString(caption))
	fmt.Fprintf(&b, "\n<style>%s</style>\n", style)
	y := margin + barHeight
	fmt.Fprintf(&b, `<text class="s" x="%d" y="%d">%s</text>`+"\n", margin, y, html.EscapeString(caption))
	for _, p := range panels {
		y += heading
		fmt.Fprintf(&b, `<text class="t" x="%d" y="%d">%s</text>`+"\n", margin, y, html.EscapeString(p.Title))
		most := 0.0
		for _, bar := range p.Bars {
			most = max(most, bar.Value)
		}
		for _, bar := range p.Bars {
			bar.draw(&b, y+step/2, most)
			y += step
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (bar Bar) draw(b *strings.Builder, y int, most float64) {
	long := 0.0
	if most > 0 {
		long = max(0, bar.Value) / most * (width - 2*margin - labels - texts)
	}
	class := "b"
	if bar.Ours {
		class = "o"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, margin, y+barHeight-5, html.EscapeString(bar.Label))
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, margin+labels, y, long, barHeight)
	fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", margin+labels+long+8, y+barHeight-5, html.EscapeString(bar.Text))
}
