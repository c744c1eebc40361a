package engine

import (
	"net/http"
	"slices"
)

// A Header is a request's fields in the order in which they are sent, each
// name once, in canonical form. It is made and read once for each request,
// and a list costs less for that than a map does.
type Header []Field

// A Field has one value for each line.
type Field struct {
	Name   string
	Values []string
}

// HeaderOf makes a list of a map.
func HeaderOf(h http.Header) Header {
	list := make(Header, 0, len(h))
	for name, values := range h {
		list = append(list, Field{name, values})
	}
	return list
}

// Get gives the values of a field; nil: it is not there.
func (h Header) Get(name string) []string {
	if i := h.index(name); i >= 0 {
		return h[i].Values
	}
	return nil
}

// Set puts a field in place of the one of the same name, if there is one.
func (h *Header) Set(name string, values ...string) {
	if i := h.index(name); i >= 0 {
		(*h)[i].Values = values
		return
	}
	*h = append(*h, Field{name, values})
}

// Delete takes a field out.
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

// mapped makes a map of the list.
func (h Header) mapped() http.Header {
	m := make(http.Header, len(h))
	for _, f := range h {
		m[f.Name] = append(m[f.Name], f.Values...)
	}
	return m
}
