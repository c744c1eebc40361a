package form

import (
	"mime"
	"slices"
	"strings"

	"gatehouse/internal/urlpath"
)

// partNames parses the head of a part and finds out whether any parser could read a
// wanted name from it: from any parameter called name, quoted or not, with escapes,
// in extended notation (name*=, RFC 5987), or in continuations (name*0=, name*1=;
// RFC 2231).
type partNames struct {
	wanted func(name string) bool
	has    bool // a wanted name was found

	letter   bool       // the previous byte was a letter
	word     int        // how many letters of "name" have matched; 4: the equals sign may follow
	star     bool       // a * follows them
	index    int        // the number of the continuation after the *, plus 1; 0: none
	reading  bool       // inside a value
	piece    int        // the index of that value
	extended bool       // the value is in the extended notation
	value    text       // the value, or its beginning
	pieces   [10]string // the continuations, by piece-1
}

// nameWord is the parameter that holds the name of a field.
const nameWord = "name"

// add handles the next byte of the head.
func (n *partNames) add(c byte) {
	if c == '\r' || c == '\n' || c == '\t' {
		c = ' ' // lines may be folded
	}
	if n.reading {
		n.addToValue(c)
	}
	switch {
	case n.word == len(nameWord):
		n.sign(c)
	case lower(c) == nameWord[n.word] && (n.word > 0 || !n.letter):
		n.word++
		n.star, n.index = false, 0
	default:
		n.word = 0
	}
	n.letter = 'a' <= lower(c) && lower(c) <= 'z'
}

// sign handles a byte between "name" and the equals sign.
func (n *partNames) sign(c byte) {
	switch {
	case c == '=':
		n.end()
		n.reading, n.extended, n.piece, n.word = true, n.star, n.index, 0
	case c == ' ':
	case c == '*':
		n.star = true
	case n.star && '0' <= c && c <= '9':
		n.index = min(10*max(n.index-1, 0)+int(c-'0')+1, 1000)
	default:
		n.word = 0
	}
}

// addToValue handles a byte of a value. Runs of spaces count as one, leading ones
// as none.
func (n *partNames) addToValue(c byte) {
	blank := c == ' ' && (len(n.value.b) == 0 || n.value.b[len(n.value.b)-1] == ' ')
	switch {
	case c == ';':
		n.end()
	case !blank && !n.value.add(c) && n.extended:
		n.has = true // no legitimate name is this long, but the language in front of one may have any length
	}
}

// end ends a parameter.
func (n *partNames) end() {
	n.judge()
	n.reading = false
	n.value.clear()
}

// judge reports whether a wanted name was found so far, including the value that is
// not complete yet.
func (n *partNames) judge() bool {
	if !n.reading || n.has {
		return n.has
	}
	value := strings.TrimSpace(n.value.String())
	n.has = slices.ContainsFunc(spellings(value), n.wanted) || n.piece > 0 && n.join(plainest(value))
	return n.has
}

// join stores a continuation and reports whether all of them together are a wanted
// name. A continuation beyond the tenth counts as wanted: no legitimate client
// sends one.
func (n *partNames) join(piece string) bool {
	if n.piece > len(n.pieces) {
		return true
	}
	n.pieces[n.piece-1] = piece
	return n.wanted(strings.Join(n.pieces[:], ""))
}

// plainest returns the value of a continuation as parsers that support RFC 2231
// read it.
func plainest(value string) string {
	switch i := strings.IndexAny(value, " ,"); {
	case value != "" && value[0] == '"':
		value = unslash(value[1:], '"')
	case i >= 0:
		value = value[:i]
	}
	return urlpath.Decode(value[strings.LastIndexByte(value, '\'')+1:])
}

// spellings returns every string that some parser may read from the value of a
// parameter: with and without quotes, up to the closing quote or a separator, with
// and without escapes, percent-decoded, and decoded from an encoded word (RFC
// 2047).
func spellings(value string) []string {
	list := []string{value}
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		rest := value[1:]
		list = append(list, rest, unslash(rest, value[0]))
		if i := strings.IndexByte(rest, value[0]); i >= 0 {
			list = append(list, rest[:i])
		}
	}
	if i := strings.IndexAny(value, " ,"); i > 0 {
		list = append(list, value[:i])
	}
	list = append(list, unslash(value, 0))
	for _, s := range list {
		list = append(list, urlpath.Decode(s))
		if i := strings.LastIndexByte(s, '\''); i >= 0 { // charset'language'value
			list = append(list, urlpath.Decode(s[i+1:]))
		}
		if strings.Contains(s, "=?") { // RFC 2047
			if plain, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
				list = append(list, plain)
			}
		}
	}
	return list
}

// unslash removes backslash escapes from s, up to the first unescaped quote. A
// quote of 0 means that there is none.
func unslash(s string, quote byte) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case quote != 0 && s[i] == quote:
			return b.String()
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
