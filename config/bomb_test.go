package config

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestBombsEndAtOnce feeds files that would cost a YAML parser much time or
// memory. Each is refused, with a line, within a second and 64 MiB.
func TestBombsEndAtOnce(t *testing.T) {
	const size = int(MaxFile)
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	numbered := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-40; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	nested := func() string {
		var b strings.Builder
		for i := 0; b.Len() < size-2000; i++ {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	laughs := func() string {
		var b strings.Builder
		b.WriteString("a0: &a0 [lol, lol, lol]\n")
		for i := range 30 {
			fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"aliases of aliases":    laughs(),
		"merged merges":         strings.ReplaceAll(laughs(), ": &", ": &x"),
		"nested lists":          strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"nested lists, 1 MiB":   fill("["),
		"nested maps":           strings.Repeat("{a: ", 9_999),
		"nested sections":       nested(),
		"nested dashes":         fill("- "),
		"nested question marks": fill("? "),
		"many entries":          "users: [" + strings.Repeat("a,", MaxParts-10) + "a]",
		"many entries, 1 MiB":   "users: [" + fill("a,")[:size-20] + "]",
		"many keys in braces":   "{" + strings.Repeat("a,", MaxParts-10) + "}",
		"many pairs":            "[" + strings.Repeat("a: b,", MaxParts-10) + "]",
		"many empty entries":    strings.Repeat("-\n", MaxParts),
		"many comments":         strings.Repeat("? # c\n", MaxParts/2-1),
		"many commented pairs":  strings.Repeat("a: b\n#\n", MaxParts/3-1),
		"many keys":             numbered("k%d: v\n"),
		"the same key":          strings.Repeat("listen: a\n", MaxParts-1),
		"long unknown keys":     strings.Repeat(strings.Repeat("x", 20_000)+": 1\n", 50),
		"tag directives":        numbered("%%TAG !a%d! x\n") + "---\na",
		"one long value":        "listen: " + strings.Repeat("x", size-10),
		"one long quoted value": "listen: \"" + strings.Repeat("\\n", size/2-10) + "\"",
		"blank lines":           strings.Repeat("\n", size),
		"open brackets":         strings.Repeat("[", 5_000) + strings.Repeat("a,", 40_000),
		"documents":             strings.Repeat("---\n", MaxParts-1),
		"variables":             "listen: " + strings.Repeat("${LISTEN}", 7_000),
		"more than 1 MiB":       strings.Repeat("#", size+1),
	} {
		t.Run(name, func(t *testing.T) {
			took, used := measure(func() {
				_, err := parse("gatehouse.yaml", []byte(text), nil, testEnv)
				refusedWithLines(t, err, "gatehouse.yaml")
			})
			if took > bombTime || used > 64<<20 {
				t.Errorf("it took %v and %d MiB, more than 1 s and 64 MiB", took, used>>20)
			}
		})
	}
}

// refusedWithLines says whether err is Problems, each with the file and a line.
func refusedWithLines(t *testing.T, err error, file string) {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Errorf("not refused with problems: %v", err)
	}
	for _, p := range ps {
		if p.File != file || p.Line < 1 || p.Message == "" {
			t.Errorf("a problem without its file, line or text: %+v", p)
		}
	}
}

// bombTime is how long a file may take. The race detector makes everything
// several times slower.
const bombTime = time.Second * raceFactor

// measure gives the processor time that f takes (what others do on the machine
// does not count), and the most memory that is in use while it runs, above
// what was used before.
func measure(f func()) (took time.Duration, used uint64) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				done <- most
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse+now.StackInuse)
			}
		}
	}()
	start := cpuTime()
	f()
	took = cpuTime() - start
	close(stop)
	most := <-done
	return took, most - min(most, before.HeapInuse+before.StackInuse)
}

// FuzzParse feeds any bytes: there is no panic, and every problem has its
// file and line, in bounded time.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"bad", "good", "warn"} {
		for _, file := range glob(f, "testdata/"+dir+"/*.yaml") {
			f.Add(read(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := cpuTime()
		c, err := parse("testdata/bad/f.yaml", data, nil, testEnv)
		if took := cpuTime() - start; took > 5*bombTime {
			t.Errorf("it took %v", took)
		}
		if err == nil {
			if c == nil || c.Version != 1 {
				t.Errorf("accepted, but the configuration is %+v", c)
			}
			return
		}
		refusedWithLines(t, err, "testdata/bad/f.yaml")
		for i, p := range err.(Problems) { //nolint:errorlint // checked above
			if i > 0 && p.Line < err.(Problems)[i-1].Line { //nolint:errorlint // checked above
				t.Errorf("problems are not sorted by line: %v", err)
			}
			if strings.ContainsAny(p.Key+p.Message, "\n\r\x1b\x00") {
				t.Errorf("a control character is repeated: %q", p)
			}
			if strings.Contains(p.Message, "cannot be understood") {
				t.Errorf("a panic: %v", p)
			}
		}
	})
}

// FuzzExpand feeds any text: what holds no ${ stays as it is, and nothing is
// expanded twice.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "$", "${LISTEN}", "$${LISTEN}", "$$${LISTEN}", "$argon2id$v=19$", "${", "${}", "${A B}", "${TWICE}"} {
		f.Add(s)
	}
	env := func(string) (string, bool) { return "${AGAIN}", true }
	f.Fuzz(func(t *testing.T, s string) {
		got, err := expand(s, env)
		switch {
		case !strings.Contains(s, "${") && (err != nil || got != s):
			t.Errorf("%q becomes %q, %v", s, got, err)
		case err == nil && strings.Count(got, "${") != strings.Count(s, "${"):
			t.Errorf("%q becomes %q: each ${ stands for one", s, got)
		}
	})
}
