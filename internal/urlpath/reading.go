package urlpath

import (
	"iter"
	"strings"
)

// A Reading is one way in which an upstream may read a path.
type Reading struct {
	Path string
	// DenyOnly readings can only refuse: those with dot segments, because
	// somebody will resolve them, and those that few upstreams come to.
	DenyOnly bool

	how       string // what was done to from; "": it is the path as it was sent
	from      int    // the reading that it was made of; -1: none
	decodings int    // how often escapes were decoded on the way
}

// Readings are the readings of one path. The first of List is the path as a
// reader sees it who decodes only what cannot stand in a path otherwise.
type Readings struct {
	List []Reading

	named []string // places that count where a rule names them
	tails []string // the same, and so do all of their suffixes by whole segments
}

// Bounds on the readings of one path: what has more of them is refused. A
// path that people use has less than twenty.
const (
	maxReadings     = 256
	maxReadingBytes = 256 << 10
	maxDecodings    = 3
	maxSegments     = 512 // of a path that is not plain
)

// Read returns all the readings of a well-formed path. ok is false when there
// are too many to judge.
//
// The readings are what remains the same under every transform that upstreams
// are known to take, in any order: decode (up to three times, and all or a part
// of the escapes), take a backslash for a slash, cut parameters off, merge
// slashes, resolve dot segments, and so on. So whatever a chain of an
// upstream's parts makes of a path is among them, if it is made of these. What
// it may make of the path by anything else is bounded from above: see bound.
func Read(path string) (r *Readings, ok bool) {
	r = new(Readings)
	if Plain(path) {
		r.List = []Reading{{Path: path, from: -1}}
		return r, true
	}
	first := opaque(path)
	e := expansion{Readings: r, seen: map[string]bool{}}
	ok = e.add(Reading{Path: first, from: -1}) && strings.Count(first, "/") <= maxSegments &&
		e.close(false) && e.close(true) && e.bound(path)
	return r, ok
}

// Named returns the places that a reader might end at who drops something of
// the path that nobody is known to drop, or who takes the path behind a script
// for the whole. They are too many to refuse for a difference: they count where
// a rule or a route names them, and can only refuse.
func (r *Readings) Named() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, place := range r.named {
			if !yield(place) {
				return
			}
		}
		for _, tail := range r.tails {
			for i := range len(tail) - 1 { // not the slash at the end
				if tail[i] == '/' && !yield(tail[i:]) {
					return
				}
			}
		}
	}
}

// How tells which transforms lead to the reading at i of List.
func (r *Readings) How(i int) string {
	var names []string
	for ; r.List[i].from >= 0; i = r.List[i].from {
		names = append([]string{r.List[i].how}, names...)
	}
	if len(names) == 0 {
		return "as sent"
	}
	return strings.Join(names, ", ")
}

type expansion struct {
	*Readings
	seen map[string]bool
	size int // bytes of all paths
}

// add adds a reading that is not there yet. It returns false when there are
// too many.
func (e *expansion) add(r Reading) bool {
	if e.seen[r.Path] {
		return true
	}
	if e.size += len(r.Path); len(e.List) == maxReadings || e.size > maxReadingBytes {
		return false
	}
	e.seen[r.Path] = true
	e.List = append(e.List, r)
	return true
}

// close applies every transform, the rare ones too if they are asked for, to
// every reading that is there or is found. It returns false when there are too
// many.
func (e *expansion) close(rare bool) bool {
	for i := 0; i < len(e.List); i++ { //nolint:intrange // the list grows on the way
		from := e.List[i]
		for t := range transforms {
			by := &transforms[t]
			if by.rare && !rare || by.decodes && from.decodings == maxDecodings {
				continue
			}
			next := Reading{Path: by.apply(from.Path), how: by.name, from: i, decodings: from.decodings}
			if e.seen[next.Path] {
				continue
			}
			if by.decodes {
				next.decodings++
			}
			next.DenyOnly = rare || HasDotSegments(next.Path)
			if !e.add(next) {
				return false
			}
		}
	}
	return true
}
