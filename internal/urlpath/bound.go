package urlpath

import (
	"strings"
	"unicode/utf8"
)

// The bound from above. No list of transforms can be complete, and a reader may
// apply one to a part of the path only: one server keeps %2F in a name and resolves
// the dots beside it, another does the opposite. What they have in common is that
// they drop names from the path and never add any. So a path with an odd structure
// is folded as far as anything can be folded, and every suffix of its names counts
// as a place that some reader may end at. Where dot segments drop names from the
// middle, everything that can be left of the path is an interpretation too, with
// its suffixes (reach.go).

// An atom is a segment of the folded path.
type atom struct {
	name string
	hard bool   // the slash before it is one to every reader: it was sent as a slash
	odd  bool   // it was folded, or holds characters that cannot stand in the name of a host
	sure bool   // name is what was sent, so that . and .. are dot segments to every reader
	cut  bool   // some readers end the path within this segment, at a NUL, #, ? or ;
	end  string // the name that is left to those readers
}

// maxPlaces is how many places one path may lead to at a time, and how many marks
// may end it. Paths that people use lead to one place.
const maxPlaces = 32

// bound adds the places that a reader could end at. It returns false when they are
// too many to judge.
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
			if !e.add(Interpretation{Path: place, DenyOnly: true, how: "what may be left of it", from: 0}) {
				return false
			}
			e.tail(place)
			e.behindScripts(place)
		}
		for place := range p.behindHosts {
			if e.size += len(place); e.size > maxBytes {
				return false
			}
			e.named = append(e.named, place)
		}
	}
	return true
}

// tail adds a path of which all suffixes count, also without the marks on its
// letters.
func (e *expansion) tail(path string) {
	e.tails = append(e.tails, path)
	if bare := dropMarks(path); bare != path {
		e.tails = append(e.tails, bare)
	}
}

// ends adds the paths of readers that stop within a name (atom.cut). It returns
// false when they are too many.
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

// oddByCharacters reports whether path would be plain if its escaped characters,
// and those beyond ASCII, were letters: it is not plain only because characters
// such as ü, a space or a brace cannot stand in a path as they are. No reader takes
// these for structure, so none drops a name because of them, and suffixes of the
// path need not count: they would only refuse pages such as /über/admin. The
// characters that some readers do take for a slash or a dot have been excluded
// before: compatibility forms and best fit by foldForms, dots with invisible
// characters between them by clean.
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

// split folds each segment as far as possible, and splits the result at the slashes
// that appeared. droppable reports whether some reader may drop names from the
// middle of the path. ok is false when folding does not come to an end or there are
// too many segments; such a path was made on purpose.
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

// dropsWhatIsBefore reports whether some reader may ignore what stands before r, as
// regular expressions of Ruby do, whose ^ matches behind every line break.
func dropsWhatIsBefore(r rune) bool { return r < ' ' || r == 0x7f }

// notInHost reports whether a URL parser may end a host at c.
func notInHost(c rune) bool {
	return c >= utf8.RuneSelf || !isAlnum(byte(c)) && c != '.' && c != '-' && c != '_' //nolint:gosec // G115: ASCII
}

// unfold decodes a segment, its overlong and compatibility forms included, until
// nothing changes any more; false if that takes more than four rounds.
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

// clean returns what is left of a name without everything that some reader removes:
// parameters, controls, invisible characters, streams, dots and spaces at the end.
func clean(name string) string {
	name = cutAt(name, ";")
	full := dropControls(name)
	if bare := dropMarks(full); len(bare) < len(name) && len(bare) > 1 && strings.Trim(bare, ".") == "" {
		return ".." // such as ".. .", on Windows
	}
	return trimNames(cutStreams(full))
}

// joinNames returns the path of all names, without empty ones and dot segments.
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

// behindScripts adds what a script in the path takes for its path:
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
