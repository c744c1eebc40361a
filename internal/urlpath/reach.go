package urlpath

import (
	"slices"
	"strings"
)

// A place is what a reader has kept of a path so far: a stack of names, of which it
// is the last. nil is the root.
type place struct {
	parent *place
	name   string
	hard   bool // see atom
	odd    bool // see atom
}

// A places is a set of places in the order in which they were added. Each place
// exists once, so that places are compared by their addresses.
type places struct {
	known map[place]*place
	list  []*place
}

func (s *places) add(p *place) {
	if !slices.Contains(s.list, p) {
		s.list = append(s.list, p)
	}
}

func (s *places) below(parent *place, a atom, name string) *place {
	key := place{parent, name, a.hard, a.odd}
	p := s.known[key]
	if p == nil {
		p = &key
		s.known[key] = p
	}
	return p
}

// reach returns all the places that readers may come to that agree on the slashes
// that were sent, and on nothing else. To some of them a slash in an escape
// separates names; a dot segment is one to some, and a name or a part of one to
// others; the path may end at each mark of atom.cut. ok is false when the places
// are too many.
func reach(atoms []atom) (ends []*place, ok bool) {
	s := &places{known: map[place]*place{}}
	now, done := []*place{nil}, &places{}
	for _, a := range atoms {
		s.list = nil
		for _, p := range now {
			if a.cut {
				for _, end := range s.step(nil, p, a, a.end) {
					done.add(end)
				}
			}
			for _, next := range s.step(nil, p, a, a.name) {
				s.add(next)
			}
		}
		if now = s.list; len(now)+len(done.list) > maxPlaces {
			return nil, false
		}
	}
	for _, p := range now {
		done.add(p)
	}
	return done.list, true
}

// step appends to the list the places that readers at p come to by the name of a.
func (s *places) step(to []*place, p *place, a atom, name string) []*place {
	switch name {
	case ".":
		to = append(to, p)
	case "..":
		to = append(to, p.parents()...)
	default:
		return append(to, s.below(p, a, name))
	}
	if !a.sure {
		to = append(to, s.below(p, a, name))
	}
	return to
}

// parents returns where .. leads to: past one name, which may reach back to the last
// slash that was sent for readers that keep escaped ones in a name, and past empty
// names for readers that merge slashes.
func (p *place) parents() []*place {
	if p == nil {
		return []*place{nil}
	}
	var list []*place
	for p != nil {
		last := p.hard && p.name != ""
		p = p.parent
		list = append(list, p)
		if last {
			break
		}
	}
	return list
}

// paths returns the place as a path without empty names, and, where several slashes
// begin it, the paths that are left when a reader takes the first name for a host.
// It returns nil if the place still holds dot segments: some other place is what
// they resolve to.
func (p *place) paths() []string {
	stack := p.stack()
	if stack == nil {
		return nil
	}
	list := []string{pathOf(stack)}
	for _, n := range hosts(stack) {
		if n > 0 {
			list = append(list, pathOf(stack[:n]))
		}
	}
	return list
}

// behindHosts yields the paths of readers that end a host at the first character
// that cannot stand in one: to Node's url.parse, the path of //user@host%61dmin is
// %61dmin. Readers disagree about which characters those are, so every place in the
// name counts.
func (p *place) behindHosts(yield func(path string) bool) {
	stack := p.stack()
	for _, n := range hosts(stack) {
		if !stack[n].odd {
			continue
		}
		rest := ""
		if n > 0 {
			rest = pathOf(stack[:n])
		}
		for i := 1; i < len(stack[n].name); i++ {
			if !yield("/" + stack[n].name[i:] + rest) {
				return
			}
		}
	}
}

// stack returns the names from the last to the first; nil if one of them is a dot
// segment.
func (p *place) stack() []*place {
	stack := []*place{}
	for ; p != nil; p = p.parent {
		if p.name == "." || p.name == ".." {
			return nil
		}
		stack = append(stack, p)
	}
	return stack
}

// hosts returns the indexes in a stack of the names that may be a host, or the end
// of one with escaped slashes in it: the first name behind several slashes.
func hosts(stack []*place) (at []int) {
	i := len(stack) - 1
	if i < 1 || stack[i].name != "" {
		return nil
	}
	for i >= 0 && stack[i].name == "" {
		i--
	}
	for ; i >= 0; i-- {
		at = append(at, i)
		if i > 0 && stack[i-1].hard {
			break
		}
	}
	return at
}

// pathOf returns the path of a stack (see stack).
func pathOf(stack []*place) string {
	var b strings.Builder
	for _, p := range slices.Backward(stack) {
		if p.name != "" {
			b.WriteString("/" + p.name)
		}
	}
	if b.Len() == 0 || stack[0].name == "" {
		b.WriteByte('/')
	}
	return b.String()
}
