package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleRace is what a race of two targets finds.
func sampleRace() finding {
	c := race{
		title: "1 KiB answers", against: []string{nginx}, plot: true,
		goals: []goal{
			{text: "CPU against nginx", over: gate, under: nginx, most: 2.1},
			{text: "allocations", over: gate, allocations: true, most: 50},
			{text: "against one that was left out", over: gate, under: httputil, most: 1},
		},
	}
	return c.find([]*target{{name: nginx}, {name: gate}}, map[string][]sample{
		nginx: {{cpu: 20, perSecond: 40_000, p99: 2}, {cpu: 40, perSecond: 20_000, p99: 4}},
		gate:  {{cpu: 36, perSecond: 20_000, p99: 3, allocations: 57}, {cpu: 72, perSecond: 10_000, p99: 6, allocations: 57}},
	})
}

func Example_report() {
	f := sampleRace()
	f.head, f.rows = f.head[:4], [][]string{f.rows[0][:4], f.rows[1][:4]}
	r := report{about: "Measured somewhere.", findings: []finding{f}}
	fmt.Print(r.markdown())
	// Output:
	// Measured somewhere.
	//
	// | goal | limit | measured |  |
	// | --- | --- | --- | --- |
	// | CPU against nginx | at most 2.1 | 1.80 | met |
	// | allocations | at most 50 | 57.00 | missed |
	//
	// ![CPU time a request](performance.svg)
	//
	// ### 1 KiB answers
	//
	// | target | CPU µs/request | least-most | x nginx |
	// | --- | --- | --- | --- |
	// | nginx | 30.0 | 20.0-40.0 | 1.00 |
	// | gatehouse | 54.0 | 36.0-72.0 | 1.80 |
}

func TestEveryRowIsAsLongAsTheHead(t *testing.T) {
	findings := []finding{
		sampleRace(),
		transfer{title: "upload"}.find([]*target{{name: nginx}, {name: gate}}, map[string][]haul{nginx: {{cpu: 1}}, gate: {{cpu: 2}}}),
		compare([]*contestant{{name: "a"}, {name: "b", got: map[string][]float64{"cold": {1, 2}}}}, 1_000_000),
	}
	for _, f := range findings {
		for _, row := range f.rows {
			if len(row) != len(f.head) {
				t.Errorf("%s: %q below %q", f.title, row, f.head)
			}
		}
	}
}

func TestTransferVerdicts(t *testing.T) {
	f := transfer{title: "upload"}.find([]*target{{name: nginx}, {name: gate}}, map[string][]haul{
		nginx: {{cpu: 100}, {cpu: 100}}, gate: {{cpu: 160, growth: 1}, {cpu: 160, growth: 900}},
	})
	if len(f.verdicts) != 2 || f.verdicts[0].met || f.verdicts[1].met {
		t.Errorf("%+v", f.verdicts)
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "docs")
	page := filepath.Join(dir, pageName)
	r := report{about: "first", findings: []finding{sampleRace()}}
	for _, about := range []string{"first", "second"} {
		r.about = about
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page) //nolint:gosec // in our own folder
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "first") || strings.Count(s, "second") != 1 || !strings.HasPrefix(s, "# Performance\n") {
		t.Errorf("the page:\n%s", s)
	}
	svg, err := os.ReadFile(filepath.Join(dir, plotName)) //nolint:gosec // in our own folder
	if err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("the plot: %v\n%s", err, svg)
	}
	if err := os.WriteFile(page, []byte("# Somebody's own words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.save(dir); err == nil {
		t.Error("a page without the marks was written over")
	}
}
