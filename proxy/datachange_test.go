package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestReadData(t *testing.T) {
	for name, c := range map[string]struct {
		set, del []string
		want     string // of a session that holds a=1 and b=2
		refused  []string
	}{
		"nothing":                 {want: "a=1; b=2"},
		"a key":                   {set: []string{"c=3"}, want: "a=1; b=2; c=3"},
		"another value":           {set: []string{"a=9"}, want: "a=9; b=2"},
		"an empty value":          {set: []string{"a="}, want: "a=; b=2"},
		"several lines":           {set: []string{"c=3", "d=4"}, want: "a=1; b=2; c=3; d=4"},
		"several in a line":       {set: []string{" c=3 ,\t, d=4,"}, want: "a=1; b=2; c=3; d=4"},
		"the last counts":         {set: []string{"a=3", "a=4, a=5"}, want: "a=5; b=2"},
		"escapes":                 {set: []string{"%6b=%c3%A4%00%0D%0A%25%3B%2c"}, want: "a=1; b=2; k=%C3%A4%00%0D%0A%25%3B%2C"},
		"an escaped key":          {set: []string{"%61=%31%30"}, want: "a=10; b=2"},
		"signs":                   {set: []string{"a=x/y?z=:@!$&'()*"}, want: "a=x%2Fy%3Fz%3D%3A%40%21%24%26%27%28%29%2A; b=2"},
		"deleted":                 {del: []string{"a"}, want: "b=2"},
		"all deleted":             {del: []string{"a, b"}, want: ""},
		"deleted by another name": {del: []string{"%61", "none"}, want: "b=2"},
		"deleted and set":         {set: []string{"a=3"}, del: []string{"a, b"}, want: "a=3"},
		"no value":                {set: []string{"a"}, want: "a=1; b=2", refused: []string{`set "a": there is no = behind the key`}},
		"no key":                  {set: []string{"=1"}, want: "a=1; b=2", refused: []string{`set "": is empty`}},
		"a plus":                  {set: []string{"a=1+1"}, want: "a=1; b=2", refused: []string{`set "a": has the byte 0x2b, which must be percent-encoded`}},
		"a space":                 {set: []string{"a=1 1", "c=3"}, want: "a=1; b=2; c=3", refused: []string{`set "a": has the byte 0x20, which must be percent-encoded`}},
		"quotes":                  {set: []string{`a="1"`}, want: "a=1; b=2", refused: []string{`set "a": has the byte 0x22, which must be percent-encoded`}},
		"attributes as cookies":   {set: []string{"a=1; Path=/"}, want: "a=1; b=2", refused: []string{`set "a": has the byte 0x3b, which must be percent-encoded`}},
		"beyond ASCII":            {set: []string{"ä=1"}, want: "a=1; b=2", refused: []string{`set "ä": has the byte 0xc3, which must be percent-encoded`}},
		"half an escape":          {set: []string{"a=%4"}, want: "a=1; b=2", refused: []string{`set "a": has a % that is not followed by two hexadecimal digits`}},
		"no escape":               {del: []string{"%zz"}, want: "a=1; b=2", refused: []string{`delete "%zz": has a % that is not followed by two hexadecimal digits`}},
		"too long":                {set: []string{"a=3", "c=" + strings.Repeat("x", 4090)}, want: "a=3; b=2", refused: []string{`set "c": 4102 bytes together are more than 4096`}},
		"too long once escaped":   {set: []string{"c=" + strings.Repeat("/", 1400)}, want: "a=1; b=2", refused: []string{`set "c": 4212 bytes together are more than 4096`}},
		"room made before":        {set: []string{"c=" + strings.Repeat("x", 4094)}, del: []string{"a,b"}, want: "c=" + strings.Repeat("x", 4094)},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]string{"a": "1", "b": "2"}
			before := maps.Clone(values)
			d := readData(c.set, c.del)
			changed, over := d.apply(values)
			if got := formatData(values); got != c.want {
				t.Errorf("holds %q, want %q", got, c.want)
			}
			if changed == maps.Equal(before, values) {
				t.Errorf("says that it has changed something: %t", changed)
			}
			var refused []string
			for _, err := range slices.Concat(d.refused, over) {
				refused = append(refused, err.Error())
			}
			if !slices.Equal(refused, c.refused) {
				t.Errorf("refuses %q, want %q", refused, c.refused)
			}
		})
	}
}

// The bounds hold to the byte, and for what is there already nothing is
// refused.
func TestDataBounds(t *testing.T) {
	values := map[string]string{}
	var all []string
	for n := range maxDataKeys {
		all = append(all, fmt.Sprintf("k%02d=v", n))
	}
	full := readData([]string{strings.Join(all, ",")}, nil)
	if changed, over := full.apply(values); !changed || over != nil || len(values) != maxDataKeys {
		t.Fatalf("%d keys, %v", len(values), over)
	}
	more := readData([]string{"one=more", "k00=other"}, nil)
	if _, over := more.apply(values); len(over) != 1 || values["one"] != "" || values["k00"] != "other" {
		t.Errorf("over the count: %v", over)
	}
	again := readData([]string{"k00=other"}, nil)
	if changed, over := again.apply(values); changed || over != nil {
		t.Errorf("what is there already: changed %t, %v", changed, over)
	}

	values = map[string]string{"a": ""}
	room := maxDataSize - len("a=; b=")
	fits := readData([]string{"b=" + strings.Repeat("x", room)}, nil)
	if _, over := fits.apply(values); over != nil || len(formatData(values)) != maxDataSize {
		t.Errorf("%d bytes, %v", len(formatData(values)), over)
	}
	byOne := readData([]string{"a=x"}, nil)
	if changed, over := byOne.apply(values); changed || len(over) != 1 {
		t.Errorf("one byte over: changed %t, %v", changed, over)
	}
	less := readData([]string{"b=" + strings.Repeat("x", room-1), "a=x"}, nil)
	if _, over := less.apply(values); over != nil {
		t.Errorf("as much as is given back: %v", over)
	}
}

// FuzzData: whatever an application sends, what comes back to it is one
// header line within the bounds that every reader splits alike, and that
// gives the bytes that were sent.
func FuzzData(f *testing.F) {
	f.Add("a=1", "b", "a=2; b")
	f.Add("a=%00%0a, b==, c", "%61,,", "\r\n")
	f.Add(strings.Repeat("k%41=v,", 40), "*", "x=%")
	f.Fuzz(func(t *testing.T, one, two, del string) {
		values := map[string]string{}
		c := readData([]string{one, two}, []string{del})
		_, _ = c.apply(values)
		line := formatData(values)
		if len(line) > maxDataSize || len(values) > maxDataKeys {
			t.Fatalf("%d bytes, %d keys", len(line), len(values))
		}
		if line == "" {
			return
		}
		if !survives(line) || strings.ContainsAny(line, "+,\"\\/") {
			t.Errorf("not a line that survives: %q", line)
		}
		keys := []string{}
		for part := range strings.SplitSeq(line, "; ") {
			key, value, ok := strings.Cut(part, "=")
			if !ok || key == "" || strings.ContainsAny(value, "=; ") {
				t.Fatalf("%q in %q", part, line)
			}
			for _, text := range []string{key, value} {
				path, err1 := url.PathUnescape(text)
				query, err2 := url.QueryUnescape(text)
				if errors.Join(err1, err2) != nil || path != query || escape([]byte(path)) != text {
					t.Errorf("%q is read as %q and %q", text, path, query)
				}
			}
			keys = append(keys, key)
		}
		if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(values) {
			t.Errorf("keys %q", keys)
		}
	})
}
