package lang_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"gatehouse/internal/web/lang"
)

func ExampleMatch() {
	l := lang.Match("", "de-CH, de;q=0.9, fr;q=0.5")
	fmt.Println(l.Name)
	fmt.Println(l.T("Sign in"))
	fmt.Println(l.N("{n} minutes ago", 1))
	fmt.Println(l.T("what nobody has translated"))
	// Output:
	// Deutsch
	// Anmelden
	// Vor 1 Minute
	// what nobody has translated
}

// formsOf returns the plural forms that whole numbers have in the language.
func formsOf(name string) []plural.Form {
	tag, seen := language.MustParse(name), map[plural.Form]bool{}
	for n := range 1000 {
		seen[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)] = true
	}
	seen[plural.Other] = true // which texts have that count nothing
	return slices.Sorted(maps.Keys(seen))
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// TestEveryLanguageIsComplete: no text is missing, none is superfluous, each
// has the forms that its language needs, and what is filled in.
func TestEveryLanguageIsComplete(t *testing.T) {
	t.Parallel()
	english := lang.All()[0]
	for _, l := range lang.All() {
		t.Run(l.Tag, func(t *testing.T) {
			t.Parallel()
			want := formsOf(l.Tag)
			for _, text := range english.Texts() {
				said := l.Forms(text)
				if said == nil {
					t.Errorf("%q is missing", text)
					continue
				}
				counts := strings.Contains(text, "{n}")
				if got := slices.Sorted(maps.Keys(said)); counts && !slices.Equal(got, want) {
					t.Errorf("%q has the forms %v, want %v", text, got, want)
				} else if !counts && len(said) != 1 {
					t.Errorf("%q counts nothing, and has the forms %v", text, got)
				}
				for form, s := range said {
					checkText(t, text, s, form)
				}
			}
			for _, text := range l.Texts() {
				if english.Forms(text) == nil {
					t.Errorf("%q is superfluous", text)
				}
			}
		})
	}
}

func checkText(t *testing.T, text, said string, form plural.Form) {
	t.Helper()
	want, got := placeholder.FindAllString(text, -1), placeholder.FindAllString(said, -1)
	slices.Sort(want)
	slices.Sort(got)
	// One thing, and in Arabic and Hebrew two, can be said without a number.
	left := form != plural.Other && form != plural.Many && len(got) == 0
	if !slices.Equal(got, want) && !left {
		t.Errorf("%q has %v, not %v, in %q", text, got, want, said)
	}
	ends := func(s string) bool {
		return strings.HasSuffix(s, ".") || strings.HasSuffix(s, "。") || strings.HasSuffix(s, "।")
	}
	if said == "" || strings.TrimSpace(said) != said || ends(text) != ends(said) {
		t.Errorf("%q: %q is empty, has space around it, or ends otherwise", text, said)
	}
	if i := strings.IndexFunc(said, func(c rune) bool { return unicode.Is(unicode.C, c) || strings.ContainsRune("<>&", c) }); i >= 0 {
		t.Errorf("%q: %q has markup or a control character at %d", text, said, i)
	}
}

// TestLanguagesKnowThemselves compares what the files say of themselves with
// CLDR.
func TestLanguagesKnowThemselves(t *testing.T) {
	t.Parallel()
	rightToLeft := regexp.MustCompile(`^(Arab|Hebr)$`)
	date := time.Date(2031, time.November, 28, 21, 43, 0, 0, time.UTC)
	for _, l := range lang.All() {
		tag := language.MustParse(l.Tag)
		if tag.String() != l.Tag {
			t.Errorf("%s is written %s", l.Tag, tag)
		}
		script, _ := tag.Script()
		if want := rightToLeft.MatchString(script.String()); (l.Dir == "rtl") != want || l.Dir != "rtl" && l.Dir != "ltr" {
			t.Errorf("%s: dir is %q", l.Tag, l.Dir)
		}
		if want := display.Self.Name(tag); !strings.EqualFold(l.Name, want) && !strings.HasPrefix(l.Name, strings.SplitN(want, "（", 2)[0][:3]) {
			t.Errorf("%s: calls itself %q, and CLDR calls it %q", l.Tag, l.Name, want)
		}
		for _, part := range []string{"2031", "28", "21:43", "UTC"} {
			if got := l.Date(date); !strings.Contains(got, part) {
				t.Errorf("%s: the date %q lacks %s", l.Tag, got, part)
			}
		}
		seen := map[string]bool{}
		for m := time.January; m <= time.December; m++ {
			seen[l.Date(time.Date(2031, m, 28, 21, 43, 0, 0, time.UTC))] = true
		}
		if len(seen) != 12 {
			t.Errorf("%s: %d months in %v", l.Tag, len(seen), seen)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, chosen, accept, want string }{
		{"nothing", "", "", "en"},
		{"German", "", "de", "de"},
		{"Austrian German", "", "de-AT,de;q=0.9,en;q=0.8", "de"},
		{"the best of several", "", "en;q=0.5, de;q=0.7", "de"},
		{"unknown, then known", "", "tlh, de;q=0.7, en;q=0.1", "de"},
		{"unknown alone", "", "tlh", "en"},
		{"anything", "", "*", "en"},
		{"chosen", "de", "en", "de"},
		{"chosen in no spelling of ours", "DE", "en", "en"},
		{"chosen unknown", "../../etc/passwd", "de", "de"},
		{"malformed", "", "de;q=x;;,,;=", "en"},
		{"long", "", strings.Repeat("de,", 1000), "en"},
		{"CVE-2022-32149", "", strings.Repeat("en-", 150) + "de", "en"},
		{"CVE-2020-14040 and others", "", "x-" + strings.Repeat("a-", 200), "en"},
	} {
		if got := lang.Match(c.chosen, c.accept).Tag; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	l := lang.Find("en")
	for _, c := range []struct{ got, want string }{
		{l.Remember(30 * 24 * time.Hour), "Keep me signed in for 30 days"},
		{l.Remember(24 * time.Hour), "Keep me signed in for 1 day"},
		{l.Remember(90 * time.Minute), "Keep me signed in for 1 hour"},
		{l.Remember(0), ""},
		{l.Duration(12 * time.Hour), "12 hours"},
		{l.Duration(time.Minute), "1 minute"},
		{l.Duration(time.Second), ""},
		{l.Wait(0), ""},
		{l.Wait(time.Millisecond), "Please try again in 1 second."},
		{l.Wait(90 * time.Second), "Please try again in 90 seconds."},
		{l.Wait(91 * time.Second), "Please try again in 2 minutes."},
		{l.Wait(15 * time.Minute), "Please try again in 15 minutes."},
		{l.Wait(2 * time.Hour), "Please try again in 2 hours."},
		{l.Say(lang.Text{}), ""},
		{l.Say(lang.Text{Key: "{n} days ago", N: 2}), "2 days ago"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestAgo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := lang.Find("en")
		for ago, want := range map[time.Duration]string{
			-time.Hour: "Just now", 0: "Just now", time.Minute: "1 minute ago", 59 * time.Minute: "59 minutes ago",
			time.Hour: "1 hour ago", 47 * time.Hour: "1 day ago", 20 * 24 * time.Hour: "12 Dec 1999, 00:00 UTC",
		} {
			if got := l.Ago(time.Now().Add(-ago)); got != want {
				t.Errorf("%v ago: %q, want %q", ago, got, want)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("de", "de-AT, en;q=0.1")
	f.Add("", "zh-Hant-TW-u-co-pinyin, *;q=0")
	f.Fuzz(func(t *testing.T, chosen, accept string) {
		if l := lang.Match(chosen, accept); !slices.Contains(lang.All(), l) {
			t.Errorf("%+v", l)
		}
	})
}

// TestNoLanguageIsMissing: these are promised; more are welcome.
func TestNoLanguageIsMissing(t *testing.T) {
	t.Parallel()
	for tag := range strings.FieldsSeq("en de fr es pt it nl pl tr uk ar he hi ja ko zh-Hans") {
		if lang.Find(tag) == nil {
			t.Errorf("there is no internal/web/lang/languages/%s.json", tag)
		}
	}
}
