package proxy

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/proxy/engine"
)

// headerRules is a HeaderConfig prepared for requests. It is immutable.
type headerRules struct {
	set   []headerLine
	names map[string]bool // all names that are set or removed, folded
}

// A headerLine is a header that a route sets.
type headerLine struct{ name, value string }

// newHeaderRules prepares a HeaderConfig that has been checked. Headers to set are
// sorted.
func newHeaderRules(c HeaderConfig) headerRules {
	r := headerRules{names: map[string]bool{}}
	for name, value := range c.Set {
		r.set = append(r.set, headerLine{textproto.CanonicalMIMEHeaderKey(name), value})
		r.names[httpfield.FoldName(name)] = true
	}
	for _, name := range c.Remove {
		r.names[httpfield.FoldName(name)] = true
	}
	slices.SortFunc(r.set, func(a, b headerLine) int { return strings.Compare(a.name, b.name) })
	return r
}

// takes reports whether the route sets or removes a header of this name, in any
// spelling.
func (r *headerRules) takes(name string) bool {
	return len(r.names) > 0 && r.names[httpfield.FoldName(name)]
}

// drop deletes from h every header that the route sets or removes.
func (r *headerRules) drop(h http.Header) {
	if len(r.names) == 0 {
		return
	}
	for name := range h {
		if r.takes(name) {
			delete(h, name)
		}
	}
}

// add sets the headers to set in a request.
func (r *headerRules) add(h *engine.Header) {
	for _, l := range r.set {
		h.Set(l.name, l.value)
	}
}

// put sets the headers to set in an answer. Call drop first.
func (r *headerRules) put(h http.Header) {
	for _, l := range r.set {
		h[l.name] = []string{l.value}
	}
}
