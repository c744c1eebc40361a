package plot

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// rects parses the picture and returns the widths of its bars.
func rects(t *testing.T, svg string) (widths []float64) {
	t.Helper()
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return widths
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "rect" {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "width" {
				w, err := strconv.ParseFloat(a.Value, 64)
				if err != nil {
					t.Fatal(err)
				}
				widths = append(widths, w)
			}
		}
	}
}

func TestBarsAreInProportion(t *testing.T) {
	w := rects(t, SVG("c", []Panel{{"one", []Bar{{Label: "a", Value: 20}, {Label: "b", Value: 5}, {Label: "c", Value: -1}, {Label: "d"}}}}))
	if len(w) != 4 || w[0] <= 0 || w[1] != w[0]/4 || w[2] != 0 || w[3] != 0 {
		t.Errorf("widths %v", w)
	}
}

func TestNothingToDraw(t *testing.T) {
	if w := rects(t, SVG("", nil)); len(w) != 0 {
		t.Errorf("widths %v", w)
	}
	if w := rects(t, SVG("", []Panel{{"none", nil}, {"zero", []Bar{{}}}})); len(w) != 1 || w[0] != 0 {
		t.Errorf("widths %v", w)
	}
}

func TestLabelsAreText(t *testing.T) {
	const bad = `</text><script>"&'`
	svg := SVG(bad, []Panel{{bad, []Bar{{bad, 1, bad, true}}}})
	rects(t, svg)
	if strings.Contains(svg, "<script") {
		t.Error(svg)
	}
}

func ExampleSVG() {
	svg := SVG("microseconds a request", []Panel{{"1 KiB", []Bar{
		{Label: "nginx", Value: 20, Text: "20 µs"},
		{Label: "gatehouse", Value: 36, Text: "36 µs", Ours: true},
	}}})
	fmt.Println(strings.Count(svg, "<rect"), "bars")
	// Output: 2 bars
}
