package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/server"
)

func TestParseStat(t *testing.T) {
	const fields = "R 26593 26590 21563 0 -1 4194304 98 0 0 0 150 50 7 3 20 0 1 0 276339"
	for _, c := range []struct {
		name, text string
		want       stat
		ok         bool
	}{
		{"a program", "26595 (cat) " + fields, stat{pid: 26595, group: 26590, cpu: 2100 * time.Millisecond}, true},
		{"a name with brackets and spaces", "1 (a) R 9 (b c) " + fields, stat{pid: 1, group: 26590, cpu: 2100 * time.Millisecond}, true},
		{"ended", "7 (cat) Z" + fields[1:], stat{pid: 7, group: 26590, ended: true, cpu: 2100 * time.Millisecond}, true},
		{"empty", "", stat{}, false},
		{"no name", "1 cat R", stat{}, false},
		{"cut off", "26595 (cat) R 26593 26590", stat{}, false},
		{"no number", "x (cat) " + fields, stat{}, false},
		{"words for times", "1 (cat) " + strings.Replace(fields, "150", "long", 1), stat{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat([]byte(c.text))
			if (err == nil) != c.ok || c.ok && got != c.want {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("26595 (cat) R 26593 26590 21563 0 -1 4194304 98 0 0 0 150 50 7 3 20 0 1 0 276339"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseStat(text); err != nil && s != (stat{}) {
			t.Errorf("%+v with %v", s, err)
		}
	})
}

func TestParseBusy(t *testing.T) {
	got, err := parseBusy("cpu  100 10 50 90000 700 5 6 9 0 0\ncpu0 1 2 3\n")
	if err != nil || got != 1710*time.Millisecond {
		t.Errorf("%s, %v; want 1.71s: idle, iowait and steal left out", got, err)
	}
	for _, bad := range []string{"", "intr 1 2 3 4 5 6 7 8", "cpu 1 2", "cpu a b c d e f g h"} {
		if _, err := parseBusy(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func TestKibibytes(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t    1620 kB\nVmRSS:\t 16 kB\n")
	if rss, peak, none := kibibytes(status, "VmRSS:"), kibibytes(status, "VmHWM:"), kibibytes(status, "VmSwap:"); rss != 16<<10 || peak != 1620<<10 || none != 0 {
		t.Errorf("%d, %d, %d", rss, peak, none)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(slices.Clone(c.values)); got != c.want {
			t.Errorf("median of %v: %g, want %g", c.values, got, c.want)
		}
	}
	v := []float64{3, 1, 2}
	if median(v); !slices.Equal(v, []float64{3, 1, 2}) {
		t.Errorf("it has sorted its caller's values: %v", v)
	}
}

// TestRatioIsOfRounds: a machine that is three times slower in the second
// round changes both targets, and not their ratio.
func TestRatioIsOfRounds(t *testing.T) {
	if got := ratio([]float64{20, 60, 20}, []float64{10, 30, 10}); got != 2 {
		t.Errorf("%g, want 2", got)
	}
	if got := ratio([]float64{20}, nil); got != 0 {
		t.Errorf("against nobody: %g", got)
	}
	if got := ratio([]float64{20}, []float64{0}); got != 0 {
		t.Errorf("against nothing: %g", got)
	}
}

func TestMetric(t *testing.T) {
	const text = "# HELP a b\na_total_x 7\na_total 1.5e+06\n"
	if got := metric(text, "a_total"); got != 1_500_000 {
		t.Errorf("%g", got)
	}
	if got := metric(text, "b"); got != 0 {
		t.Errorf("what is not there: %g", got)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{figure(3.14159), "3.1"},
		{figure(99.94), "99.9"},
		{figure(1234.5), "1,234"},
		{count(999), "999"},
		{count(1234567), "1,234,567"},
		{times(1.005), "1.00"},
		{times(0), "-"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-rounds", "7", "-duration", "2s", "-targets", "nginx,gatehouse", "-scenarios", "http-1k", "-peer", "name=x;start=x -a=b;addr=127.0.0.1:9;cookie=s=1"}, t.Output())
	if err != nil || o.rounds != 7 || o.duration != 2*time.Second || !slices.Equal(o.targets, []string{"nginx", "gatehouse"}) ||
		!slices.Equal(o.scenarios, []string{"http-1k"}) || len(o.peers) != 1 || o.peers[0] != (peer{"x", "x -a=b", "127.0.0.1:9", "s=1"}) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{
		{"-scenarios", "http-2k"}, {"-rounds", "0"}, {"-warm", "0s"}, {"more"}, {"-peer", "name=x"}, {"-peer", "name=x;start=y;addr=z;port=1"}, {"-no"},
	} {
		if _, err := parse(bad, t.Output()); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// TestConfigurations: what the gate is measured with can be served, and is
// what the report says.
func TestConfigurations(t *testing.T) {
	for _, c := range []struct {
		name          string
		many          bool
		routes, rules int
	}{{"one", false, 3, 1}, {"many", true, manyRoutes, manyRules}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			g := gateConf{
				Listen: "127.0.0.1:8080", Admin: "127.0.0.1:9090", Data: dir, Upstream: "127.0.0.1:1", Sink: "127.0.0.1:2",
				Hash: "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$xbdXlj2NTEx4XDJXw2WX2VcIBcrEd8LLYpl7Bf9Nqyc",
			}
			if c.many {
				g.routesAndRules()
			}
			text, err := render("gatehouse.yaml", g)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "gatehouse.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			conf, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Check(conf, "{{.CSRFToken}}"); err != nil {
				t.Error(err)
			}
			last := conf.Routes[len(conf.Routes)-1]
			if len(conf.Routes) != c.routes || len(last.Access) != c.rules || last.Path != "/" {
				t.Errorf("%d routes, the last is %q with %d rules", len(conf.Routes), last.Path, len(last.Access))
			}
		})
	}
}

func TestNginxConfigurationsAreWhole(t *testing.T) {
	for _, name := range []string{"nginx.conf", "upstream.conf"} {
		text, err := render(name, nginxConf{Name: "n", Listen: "127.0.0.1:1", Dir: "/d", Upstream: "127.0.0.1:2", Sink: "127.0.0.1:3", Connections: 10, Files: 20})
		if err != nil || strings.Contains(text, "<no value>") || strings.Count(text, "{") != strings.Count(text, "}") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func Example_scenarios() {
	for _, s := range scenarios()[:2] {
		fmt.Println(s.name)
	}
	// Output:
	// http-1k
	// http-100k
}
