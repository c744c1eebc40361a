package proxy

import (
	"strings"
)

// A reading is one way in which an upstream may read a path.
type reading struct {
	path      string
	from      int   // the reading that it was made of; -1: the path as it was sent
	by        *step // what was done to that one
	decodings int   // how often escapes were decoded on the way
	// cautious readings can only refuse: those with dot segments, because
	// somebody will resolve them, and those that few upstreams come to.
	cautious bool
}

// Bounds on the readings of one path: what has more of them is refused. A
// path that people use has less than ten.
const (
	maxReadings     = 256
	maxReadingBytes = 256 << 10
	maxDecodings    = 3
)

// plainPath says whether a path has one reading only, so that there is
// nothing to expand: it holds no escapes, parameters, backslashes and bytes
// beyond ASCII, and no segment is empty (but the last), is a dot segment, or
// ends in a dot.
func plainPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := 1; i < len(path); i++ {
		switch c := path[i]; kinds[c] {
		case ordinary:
		case slash:
			if before := path[i-1]; before == '/' || before == '.' {
				return false
			}
		case dot: // one in front of a name is fine
			if i+1 == len(path) || path[i+1] == '/' || path[i+1] == '.' && path[i-1] == '/' {
				return false
			}
		case dollar:
			if path[i-1] == ':' { // NTFS: /admin::$INDEX_ALLOCATION
				return false
			}
		default:
			return false
		}
	}
	return true
}

type kind byte

const (
	special kind = iota // not plain
	ordinary
	slash
	dot
	dollar
)

// kinds is what plainPath looks for, by character.
var kinds = func() (t [256]kind) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!&'()*+,=:@") {
		t[c] = ordinary
	}
	t['/'], t['.'], t['$'] = slash, dot, dollar
	return t
}()

// expand gives all the readings of a well-formed path, the first of which is
// how a reader sees it who decodes only what cannot stand in a path otherwise.
// ok is false when there are too many to judge.
//
// The readings are what remains the same under every step that upstreams are
// known to take, in any order: decode (up to three times), take a backslash
// for a slash, cut parameters off, merge slashes, resolve dot segments, and so
// on. So whatever a chain of an upstream's parts makes of a path is among
// them, if it is made of these steps.
func expand(path string) (list []reading, ok bool) {
	first := opaque(path)
	e := expansion{list: []reading{{path: first, from: -1}}, seen: map[string]bool{first: true}, size: len(first)}
	ok = e.close(false) && e.close(true)
	return e.list, ok
}

type expansion struct {
	list []reading
	seen map[string]bool
	size int // bytes of all paths
}

// close takes every step, the rare ones too if they are asked for, from every
// reading that is there or is found. It gives false when there are too many.
func (e *expansion) close(rare bool) bool {
	for i := 0; i < len(e.list); i++ {
		from := e.list[i]
		for s := range steps {
			by := &steps[s]
			if by.rare && !rare || by.decodes && from.decodings == maxDecodings {
				continue
			}
			next := reading{path: by.take(from.path), from: i, by: by, decodings: from.decodings}
			if e.seen[next.path] {
				continue
			}
			if by.decodes {
				next.decodings++
			}
			next.cautious = rare || hasDotSegments(next.path)
			if e.size += len(next.path); len(e.list) == maxReadings || e.size > maxReadingBytes {
				return false
			}
			e.seen[next.path] = true
			e.list = append(e.list, next)
		}
	}
	return true
}

// how tells which steps lead to a reading.
func how(list []reading, i int) string {
	var names []string
	for ; list[i].from >= 0; i = list[i].from {
		names = append([]string{list[i].by.name}, names...)
	}
	if len(names) == 0 {
		return "as sent"
	}
	return strings.Join(names, ", ")
}
