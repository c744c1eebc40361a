// Package lang translates the texts of our pages into the reader's language.
//
// The English text is the key of its translations, so that templates and calls hold what
// an English reader gets:
//
//	l := lang.Match("", r.Header.Get("Accept-Language"))
//	l.T("Sign in")          // Anmelden
//	l.N("{n} minutes", 2)   // 2 Minuten
//
// A text that a language does not have stays English. Each language is a file in
// languages/; en.json lists all texts.
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

// A Language is one of those that our pages are in. It never changes.
type Language struct {
	Tag  string // a language tag of BCP 47: en, zh-Hans
	Name string // what its readers call it: Deutsch
	Dir  string // ltr or rtl

	tag    language.Tag     // Tag, parsed
	layout string           // of dates, for time.Time.Format
	months []string         // short names of the months, in place of Jan in the layout; nil: English ones
	texts  map[string]forms // by the English text
}

// forms are a text in one language by plural form. A text without a number has the form
// other alone.
type forms map[plural.Form]string

// formNames are the names of the forms in CLDR.
var formNames = map[string]plural.Form{
	"other": plural.Other, "zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many,
}

// All returns all languages, English first and the others by their tags. The slice must
// not be changed.
func All() []*Language { return all().list }

// Match returns the language for a reader: the one with the tag chosen, else the one that
// fits best to accept, the value of Accept-Language, else English. Neither has to be
// well-formed.
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

// maxAccept is the longest Accept-Language that is parsed, longer than any browser sends.
const maxAccept = 512

// Find returns the language with the tag, spelled as in All; nil if there is none.
func Find(tag string) *Language {
	for _, l := range all().list {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

// T returns the translation of an English text.
func (l *Language) T(text string) string { return l.form(text, plural.Other) }

// N returns the translation of an English text about n things, in the plural form that
// the language has for n. {n} in the text becomes the number.
func (l *Language) N(text string, n int) string {
	f := plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
	return strings.ReplaceAll(l.form(text, f), "{n}", strconv.Itoa(n))
}

// form returns the translation of a text in the plural form f, or in the form other; the
// English one if the language does not have it, and text itself if nobody has.
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

// A Text is a text whose language is not known yet.
type Text struct {
	Key string // the text in English
	N   int    // the number, for texts with {n}
}

// Say returns the translation of t; "" for the zero Text.
func (l *Language) Say(t Text) string { return l.N(t.Key, t.N) }

// Date returns a date and time of day, to the minute, in UTC.
func (l *Language) Date(t time.Time) string {
	s := t.UTC().Format(l.layout)
	if len(l.months) == 12 {
		s = strings.Replace(s, t.UTC().Format("Jan"), l.months[t.UTC().Month()-1], 1)
	}
	return s + " UTC"
}

// Ago returns how long ago something was, as in 5 minutes ago; its Date if that is two
// weeks or more.
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

// Duration returns how long something takes in the largest unit of which it has at least
// one, rounded down: 30 days, 12 hours, 5 minutes; "" for less than a minute.
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

// Remember returns the label of the box by which a person stays signed in for the time d;
// "" for less than a minute.
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

// Wait returns a sentence that says when to try again, rounded up; "" if d is not
// positive.
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

// split returns d in the largest unit of which it has at least one, rounded down; 0 for
// less than a minute.
func split(d time.Duration) (n int, unit time.Duration) {
	for _, unit := range []time.Duration{day, time.Hour, time.Minute} {
		if d >= unit {
			return int(d / unit), unit
		}
	}
	return 0, 0
}

// A set holds all languages.
type set struct {
	list    []*Language
	matcher language.Matcher
}

// all loads the languages once. It panics if one of the files is wrong: they are part of
// the program, and a test loads them.
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

// read parses a file. A key that it does not know is an error.
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

// UnmarshalJSON decodes a string, or an object of strings by the names of plural forms.
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

// Texts returns the English texts that the language has a translation of, sorted.
func (l *Language) Texts() []string { return slices.Sorted(maps.Keys(l.texts)) }

// Forms returns the translation of an English text by plural forms; nil if the language
// has none.
func (l *Language) Forms(text string) map[plural.Form]string { return l.texts[text] }
