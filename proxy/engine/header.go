package engine

import (
	"net/http"
	"slices"
)

// A Header holds the fields of a request in the order in which they are sent, each name
// once and in canonical form. It is a list because it is built and read once for each
// request, for which a map would be more expensive.
type Header []Field

// A Field is one name with its values. Each value is sent as a line of its own.
type Field struct {
	Name   string
	Values []string
}

// HeaderOf returns the fields of h, in no particular order. It shares the slices of values
// with h, whose names must be canonical.
func HeaderOf(h http.Header) Header {
	list := make(Header, 0, len(h))
	for name, values := range h {
		list = append(list, Field{name, values})
	}
	return list
}

// Get returns the values of a field, or nil if there is none. name must be canonical.
func (h Header) Get(name string) []string {
	if i := h.index(name); i >= 0 {
		return h[i].Values
	}
	return nil
}

// Set adds a field, or replaces the values of an existing one. name must be canonical.
func (h *Header) Set(name string, values ...string) {
	if i := h.index(name); i >= 0 {
		(*h)[i].Values = values
		return
	}
	*h = append(*h, Field{name, values})
}

// Delete removes a field if there is one. name must be canonical.
func (h *Header) Delete(name string) {
	if i := h.index(name); i >= 0 {
		*h = slices.Delete(*h, i, i+1)
	}
}

func (h Header) index(name string) int {
	for i := range h {
		if h[i].Name == name {
			return i
		}
	}
	return -1
}

// mapped returns the fields as a new map, with copies of the slices of values.
func (h Header) mapped() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		m[f.Name] = append(m[f.Name], f.Values...)
	}
	return m
}
