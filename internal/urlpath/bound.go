package urlpath

import (
	"strings"
	"unicode/utf8"
)

// The bound from above. No list of transforms can be complete, and each reader
// applies its own to a part of the path only: one keeps %2F in a name and
// resolves the dots beside it, another the other way round. What all of them
// have in common is that they drop names of the path and never add any. So a
// path with an odd structure is folded as far as anything can be folded, and
// every suffix of its names counts as a place that some reader may end at. Where
// dot segments and the like drop names from the middle, all that can be left
// of the path is a reading too, with its suffixes.

// An atom is a segment of the folded path.
type atom struct {
	name string
	hard bool // a slash of the path itself stands before it, which is one to every reader
	odd  bool // it was folded, or holds what cannot stand in the name of a host
	sure bool // it is a dot segment to every reader
	cut  bool // some readers end the path within it, and see end as its name
	end  string
}

// maxPlaces is how many places one path may lead to at a time. Paths that
// people use lead to one.
const maxPlaces = 32

// bound adds what a reader could end at. It returns false when that is too
// much to judge.
func (e *expansion) bound(path string) bool {
	atoms, droppable, ok := split(path)
	if !ok {
		return false
	}
	all := joinNames(atoms)
	e.behindScripts(all)
	if !droppable && oddByCharacters(path) {
		return true
	}
	e.tail(all)
	if !droppable {
		return e.ends(atoms)
	}
	places, ok := reach(atoms)
	if !ok {
		return false
	}
	for _, p := range places {
		for _, place := range p.paths() {
			if !e.add(Reading{Path: place, DenyOnly: true, how: "what may be left of it", from: 0}) {
				return false
			}
			e.tail(place)
			e.behindScripts(place)
		}
		for place := range p.behindHosts {
			if e.size += len(place); e.size > maxReadingBytes {
				return false
			}
			e.named = append(e.named, place)
		}
	}
	return true
}

// tail adds a path of which all suffixes count, for those as well who see no
// marks on letters.
func (e *expansion) tail(path string) {
	e.tails = append(e.tails, path)
	if bare := dropMarks(path); bare != path {
		e.tails = append(e.tails, bare)
	}
}

// ends adds the paths of those readers who stop at a mark within a name. It
// returns false when they are too many.
func (e *expansion) ends(atoms []atom) bool {
	n := 0
	for i, a := range atoms {
		if !a.cut {
			continue
		}
		if n++; n > maxPlaces {
			return false
		}
		e.tail(joinNames(append(atoms[:i:i], atom{name: a.end})))
	}
	return true
}

// oddByCharacters reports whether path would be plain if its escapes, and bytes
// beyond ASCII, were letters: it is odd only because some characters (ü, a
// space, a brace) cannot stand in a path as they are. No reader takes those for
// structure, so they drop no name. What some do take for a slash or a dot has
// been seen by then: compatibility forms and the best fit of code pages are
// folded (foldForms), and dots that stand apart by what is invisible are dots
// (clean), which makes the path droppable. Suffixes would only refuse pages such
// as /über/admin, to which no server that we know or could ask comes otherwise.
func oddByCharacters(path string) bool {
	text := opaque(path)
	if !utf8.ValidString(text) || foldForms(text) != text {
		return false
	}
	letters := []byte(text)
	for i, c := range letters {
		if c >= utf8.RuneSelf || isOpaque(c) {
			letters[i] = 'x'
		}
	}
	return Plain(string(letters))
}

// split folds each segment as far as it goes, and splits it anew. ok is false
// when folding does not come to an end, which is no accident.
func split(path string) (atoms []atom, droppable, ok bool) {
	for segment := range strings.SplitSeq(path[1:], "/") {
		folded, ok := unfold(segment)
		if !ok {
			return nil, false, false
		}
		first, odd := len(atoms), folded != segment || strings.ContainsFunc(segment, notInHost)
		for piece := range strings.SplitSeq(folded, "/") {
			a := atom{name: clean(piece), hard: len(atoms) == first, odd: odd}
			if i := strings.IndexAny(piece, "\x00#?;"); i >= 0 {
				a.cut, a.end = true, clean(piece[:i])
			}
			droppable = droppable || a.name == ".." || a.cut && a.end == ".." || strings.ContainsFunc(piece, dropsWhatIsBefore)
			atoms = append(atoms, a)
		}
		atoms[first].sure = len(atoms) == first+1 && atoms[first].name == segment
		if len(atoms) > maxSegments {
			return nil, false, false
		}
	}
	return atoms, droppable || len(atoms) > 1 && atoms[0].name == "", true
}

// dropsWhatIsBefore reports whether some reader may take what comes after r
// for a new beginning: an expression of Ruby's does after the end of a line.
func dropsWhatIsBefore(r rune) bool { return r < ' ' || r == 0x7f }

// notInHost reports whether a parser of URLs may take c for the end of a host.
func notInHost(c rune) bool {
	return c >= utf8.RuneSelf || !isAlnum(byte(c)) && c != '.' && c != '-' && c != '_' //nolint:gosec // G115: ASCII
}

// unfold decodes a segment and takes all its spellings for what they stand for.
func unfold(s string) (string, bool) {
	for range 4 {
		t := foldForms(foldOverlong(decodeAll(s)))
		if t == s {
			return strings.ReplaceAll(s, `\`, "/"), true
		}
		s = t
	}
	return "", false
}

// clean returns what is left of a name when all is taken away that anybody
// takes away.
func clean(name string) string {
	name = cutAt(name, ";")
	full := dropControls(name)
	if bare := dropMarks(full); len(bare) < len(name) && len(bare) > 1 && strings.Trim(bare, ".") == "" {
		return ".." // ".. ." and the like, on Windows
	}
	return trimNames(cutStreams(full))
}

// joinNames returns the path of all names that are not dot segments.
func joinNames(atoms []atom) string {
	var b strings.Builder
	for _, a := range atoms {
		if a.name != "" && a.name != "." && a.name != ".." {
			b.WriteString("/" + a.name)
		}
	}
	if b.Len() == 0 || atoms[len(atoms)-1].name == "" {
		b.WriteByte('/')
	}
	return b.String()
}

// behindScripts adds what a script that stands in the path takes for its path:
// /app/index.php/admin is /app/admin to most frameworks, and /admin to some.
func (e *expansion) behindScripts(path string) {
	for i := 1; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		name := strings.LastIndexByte(path[:i], '/')
		if ext := strings.LastIndexByte(path[name:i], '.'); ext >= 0 && IsScript(path[name+ext:i]) {
			e.named = append(e.named, path[i:])
			if name > 0 {
				e.named = append(e.named, path[:name]+path[i:])
			}
		}
	}
}
