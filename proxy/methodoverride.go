package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
	"gatehouse/proxy/form"
)

// overrideMethod decides again as if the request had each of the methods that its
// query names, and returns the strictest ruling: frameworks treat POST
// /x?_method=DELETE as a DELETE (Symfony, Laravel, method-override of Express). v
// is the ruling for the request's own method, and is returned if no rule depends on
// the method. A method that never passes is an error (400). Methods in the body are
// checked by formBody.
func (q *decisionInput) overrideMethod(v ruling, who *access.Who) (ruling, error) {
	if q.query == "" || v.route == nil || !v.byMethod {
		return v, nil
	}
	methods, ok := methodsIn(q.query[1:])
	if !ok {
		return ruling{}, web.Refuse(http.StatusBadRequest, "")
	}
	for _, m := range methods {
		other, err := q.agreeOn(m, who)
		if err != nil {
			return ruling{}, err
		}
		if other.Outcome < v.Outcome {
			v = other
			v.as = m
		}
	}
	return v, nil
}

// agreeOn is agree for the same request with another method.
func (q *decisionInput) agreeOn(method string, who *access.Who) (ruling, error) {
	own := q.facts.Method
	defer func() { q.facts.Method = own }()
	q.facts.Method = method
	return q.agree(who)
}

// methodsIn returns the methods that parameters of a query name. ok is false if one
// of them never passes.
func methodsIn(query string) (list []string, ok bool) {
	for name, value := range form.Pairs(query) {
		if !isMethodParameter(name) {
			continue
		}
		m, ok := methodNamed(value)
		if !ok {
			return nil, false
		}
		if m != "" {
			list = append(list, m)
		}
	}
	return list, true
}

// methodNamed returns the method that a parameter's value names, in upper case; ""
// if it is empty. ok is false if that method never passes.
func methodNamed(value string) (m string, ok bool) {
	m = strings.ToUpper(strings.TrimSpace(value))
	return m, m == "" || checkMethod(m) == nil
}

// isMethodParameter reports whether some framework reads the method from a
// parameter of this name. PHP replaces dots and spaces in names by underscores, and
// ends a name at a bracket (for a list) or a NUL.
func isMethodParameter(name string) bool {
	if i := strings.IndexAny(name, "[\x00"); i >= 0 {
		name = name[:i]
	}
	name = httpfield.FoldName(strings.TrimSpace(name))
	return name == httpfield.FoldName("_method") || slices.Contains(methodOverrides, name)
}
