// Package lang says the texts of our pages in the reader's language.
//
// The English text is the key of its translations, so that what stands in a
// template or in a call is what a reader may get:
//
//	l := lang.Match("", r.Header.Get("Accept-Language"))
//	l.T("Sign in")          // Anmelden
//	l.N("{n} minutes", 2)   // 2 Minuten
//
// A text that a language does not have is said in English. Each language is
// one file in languages/; en.json is the list of all texts.
package lang

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed languages/*.json
var files embed.FS

// A Language is one that our pages are in. It is never changed.
type Language struct {
	Tag  string // BCP 47: en, zh-Hans
	Name string // what its readers call it: Deutsch
	Dir  string // ltr or rtl

	tag    language.Tag
	layout string   // of dates, as package time has it
	months []string // short names, where the layout has Jan
	texts  map[string]forms
}

// forms are a text in one language, by its plural form; what does not count
// has other alone.
type forms map[plural.Form]string

// names of the forms, as CLDR has them.
var formNames = map[string]plural.Form{
	"other": plural.Other, "zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many,
}

// All gives the languages: English first, the others by their tags.
func All() []*Language { return all().list }

// Match gives the language for a reader: the one of the tag that was chosen,
// else the one that the browser would like best (Accept-Language), else
// English. Neither has to be well-formed.
func Match(chosen, accept string) *Language {
	s := all()
	if l := Find(chosen); l != nil {
		return l
	}
	if len(accept) > maxAccept {
		return s.list[0]
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(wanted) == 0 {
		return s.list[0]
	}
	_, i, _ := s.matcher.Match(wanted...)
	return s.list[i]
}

// maxAccept is more than any browser sends.
const maxAccept = 512

// Find gives the language of the tag, spelled as in All; nil when there is
// none.
func Find(tag string) *Language {
	for _, l := range all().list {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

// T says the text.
func (l *Language) T(text string) string { return l.form(text, plural.Other) }

// N says the text of n things: {n} in it is the number, and the form that
// which the language has for it.
func (l *Language) N(text string, n int) string {
	f := plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
	return strings.ReplaceAll(l.form(text, f), "{n}", strconv.Itoa(n))
}

func (l *Language) form(text string, f plural.Form) string {
	for _, l := range []*Language{l, all().list[0]} {
		if known, ok := l.texts[text]; ok {
			if s, ok := known[f]; ok {
				return s
			}
			return known[plural.Other]
		}
	}
	return text
}

// A Text is to be said in a language that is not known yet.
type Text struct {
	Key string
	N   int // for texts that count
}

// Say says the text; "" for the zero Text.
func (l *Language) Say(t Text) string { return l.N(t.Key, t.N) }

// Date says when something was, to the minute.
func (l *Language) Date(t time.Time) string {
	s := t.UTC().Format(l.layout)
	if len(l.months) == 12 {
		s = strings.Replace(s, t.UTC().Format("Jan"), l.months[t.UTC().Month()-1], 1)
	}
	return s + " UTC"
}

// Ago says how long ago something was, and its date when that is long.
func (l *Language) Ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return l.T("Just now")
	case d < time.Hour:
		return l.N("{n} minutes ago", int(d/time.Minute))
	case d < 24*time.Hour:
		return l.N("{n} hours ago", int(d/time.Hour))
	case d < 14*24*time.Hour:
		return l.N("{n} days ago", int(d/(24*time.Hour)))
	}
	return l.Date(t)
}

// Duration says how long something is, in the largest unit that it has in
// full: 30 days, 12 hours, 5 minutes; "" for less than a minute.
func (l *Language) Duration(d time.Duration) string {
	switch n, unit := split(d); unit {
	case day:
		return l.N("{n} days", n)
	case time.Hour:
		return l.N("{n} hours", n)
	case time.Minute:
		return l.N("{n} minutes", n)
	default:
		return ""
	}
}

// Remember offers to stay signed in for so long; "" for less than a minute.
func (l *Language) Remember(d time.Duration) string {
	switch n, unit := split(d); unit {
	case day:
		return l.N("Keep me signed in for {n} days", n)
	case time.Hour:
		return l.N("Keep me signed in for {n} hours", n)
	case time.Minute:
		return l.N("Keep me signed in for {n} minutes", n)
	default:
		return ""
	}
}

// Wait says when to try again, and never too early; "" for no time.
func (l *Language) Wait(d time.Duration) string {
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d <= 0:
		return ""
	case d <= 90*time.Second:
		return l.N("Please try again in {n} seconds.", up(time.Second))
	case d <= 90*time.Minute:
		return l.N("Please try again in {n} minutes.", up(time.Minute))
	default:
		return l.N("Please try again in {n} hours.", up(time.Hour))
	}
}

const day = 24 * time.Hour

func split(d time.Duration) (n int, unit time.Duration) {
	for _, unit := range []time.Duration{day, time.Hour, time.Minute} {
		if d >= unit {
			return int(d / unit), unit
		}
	}
	return 0, 0
}

// A set is all languages.
type set struct {
	list    []*Language
	matcher language.Matcher
}

// all reads the files once. They are part of the program, so that a mistake in
// one is a mistake in the program.
var all = sync.OnceValue(func() set {
	s, err := load()
	if err != nil {
		panic(err)
	}
	return s
})

func load() (set, error) {
	entries, err := files.ReadDir("languages")
	if err != nil {
		return set{}, fmt.Errorf("read languages: %w", err)
	}
	var s set
	for _, e := range entries {
		l, err := read(e.Name())
		if err != nil {
			return set{}, fmt.Errorf("read language %s: %w", e.Name(), err)
		}
		s.list = append(s.list, l)
	}
	slices.SortFunc(s.list, func(x, y *Language) int {
		if (x.Tag == "en") != (y.Tag == "en") {
			if x.Tag == "en" {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Tag, y.Tag)
	})
	var tags []language.Tag
	for _, l := range s.list {
		tags = append(tags, l.tag)
	}
	s.matcher = language.NewMatcher(tags)
	return s, nil
}

// read reads one file, which is strict: what it does not know is an error.
func read(name string) (*Language, error) {
	data, err := files.ReadFile(path.Join("languages", name))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	var f struct {
		Name   string           `json:"name"`
		Dir    string           `json:"dir"`
		Date   string           `json:"date"`
		Months []string         `json:"months"`
		Texts  map[string]forms `json:"texts"`
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	tag := strings.TrimSuffix(name, ".json")
	parsed, err := language.Parse(tag)
	if err != nil {
		return nil, fmt.Errorf("parse the tag %q: %w", tag, err)
	}
	return &Language{Tag: tag, Name: f.Name, Dir: f.Dir, tag: parsed, layout: f.Date, months: f.Months, texts: f.Texts}, nil
}

// UnmarshalJSON takes a string, or an object of strings by plural form.
func (f *forms) UnmarshalJSON(b []byte) error {
	var plain string
	if json.Unmarshal(b, &plain) == nil {
		*f = forms{plural.Other: plain}
		return nil
	}
	var named map[string]string
	if err := json.Unmarshal(b, &named); err != nil {
		return fmt.Errorf("neither a text nor its plural forms: %w", err)
	}
	*f = forms{}
	for name, text := range named {
		form, ok := formNames[name]
		if !ok {
			return fmt.Errorf("%q is no plural form", name)
		}
		(*f)[form] = text
	}
	return nil
}

// Texts gives the texts that the language has, in order.
func (l *Language) Texts() []string { return slices.Sorted(maps.Keys(l.texts)) }

// Forms gives a text as the language has it, by its plural forms; nil when it
// does not have it.
func (l *Language) Forms(text string) map[plural.Form]string { return l.texts[text] }
