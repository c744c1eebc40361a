package urlpath

import (
	"iter"
	"slices"
	"strings"
)

// An Interpretation is a path that some upstream may take the path of a request
// for.
type Interpretation struct {
	Path string
	// DenyOnly marks an interpretation that counts only where it is refused, never
	// where it is allowed: one with dot segments, because somebody will resolve
	// them, and one that few upstreams come to.
	DenyOnly bool

	how       string // the transform that was applied to from; "" for the path as it was sent
	from      int    // the place in List of what it was made of; -1 for the path as it was sent
	decodings int    // how often escapes were decoded on the way
}

// Interpretations are all that the path of one request may mean. They don't
// change once they are made.
type Interpretations struct {
	// List is never empty. Its first is the path as a reader sees it that decodes
	// only what cannot stand in a path unescaped.
	List []Interpretation

	named []string // see Named
	tails []string // the same; all of their suffixes by whole segments count
}

// The limits on the interpretations of one path. A path above them is refused.
// Paths that people use have less than twenty interpretations.
const (
	maxInterpretations = 256
	maxBytes           = 256 << 10 // of all interpretations together
	maxDecodings       = 3
	maxSegments        = 512 // of a path that is not plain
)

// Interpret returns everything that an upstream may take path for. path is the
// path of a request as it was sent, and WellFormed. ok is false when there are
// too many interpretations to judge; whoever asked must refuse the request.
//
// List is closed under the transforms that upstreams are known to apply, in any
// order: decoding escapes (up to three times, all of them or some), taking a
// backslash for a slash, cutting parameters, merging slashes, resolving dot
// segments, and so on (transform.go). So it holds whatever a chain of such
// readers makes of the path. What any other reader could make of it is bounded
// from above, see Named.
//
// A Plain path has one interpretation, itself.
func Interpret(path string) (r *Interpretations, ok bool) {
	r = new(Interpretations)
	if Plain(path) {
		r.List = []Interpretation{{Path: path, from: -1}}
		return r, true
	}
	first := opaque(path)
	e := expansion{Interpretations: r, seen: map[string]bool{}}
	ok = e.add(Interpretation{Path: first, from: -1}) && strings.Count(first, "/") <= maxSegments &&
		e.close(false) && e.close(true) && e.bound(path)
	return r, ok
}

// Named yields further places that a reader might end at: one that drops parts
// of the path which no known reader drops, or that takes what stands behind a
// script for the whole path. They are too many to refuse a request wherever they
// are judged differently from List. They count only where a rule or a route names
// them, and only to refuse. A place may be yielded more than once.
func (r *Interpretations) Named() iter.Seq[string] {
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

// MayBeBelow reports whether any interpretation, or any place of Named, is prefix
// or lies below it (Below).
func (r *Interpretations) MayBeBelow(prefix string) bool {
	if slices.ContainsFunc(r.List, func(i Interpretation) bool { return Below(i.Path, prefix) }) {
		return true
	}
	for place := range r.Named() {
		if Below(place, prefix) {
			return true
		}
	}
	return false
}

// How names the transforms that lead to List[i], in their order, separated by
// commas; "as sent" if there is none.
func (r *Interpretations) How(i int) string {
	var names []string
	for ; r.List[i].from >= 0; i = r.List[i].from {
		names = append(names, r.List[i].how)
	}
	if len(names) == 0 {
		return "as sent"
	}
	slices.Reverse(names)
	return strings.Join(names, ", ")
}

// An expansion is the making of Interpretations.
type expansion struct {
	*Interpretations
	seen map[string]bool // the paths of List
	size int             // bytes of all paths
}

// add adds an interpretation unless its path is there already. It returns false
// when a limit is reached.
func (e *expansion) add(r Interpretation) bool {
	if e.seen[r.Path] {
		return true
	}
	if e.size += len(r.Path); len(e.List) == maxInterpretations || e.size > maxBytes {
		return false
	}
	e.seen[r.Path] = true
	e.List = append(e.List, r)
	return true
}

// close applies every transform to every interpretation, those that it finds on
// the way included. The rare transforms are left out unless rare is true. It
// returns false when a limit is reached.
func (e *expansion) close(rare bool) bool {
	for i := 0; i < len(e.List); i++ { //nolint:intrange // the list grows on the way
		from := e.List[i]
		for t := range transforms {
			by := &transforms[t]
			if by.rare && !rare || by.decodes && from.decodings == maxDecodings {
				continue
			}
			next := Interpretation{Path: by.apply(from.Path), how: by.name, from: i, decodings: from.decodings}
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
