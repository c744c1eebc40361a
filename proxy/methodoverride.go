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

// overrideMethod decides again as if the request had each of the methods that
// its query names, and returns the strictest ruling: frameworks take POST
// /x?_method=DELETE for a DELETE (Symfony, Laravel, method-override of Express).
// Only where a rule looks at the method does this make a difference. Methods
// that the body names are found by formBody.
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

// agreeOn is agree as if the request had the method.
func (q *decisionInput) agreeOn(method string, who *access.Who) (ruling, error) {
	own := q.facts.Method
	defer func() { q.facts.Method = own }()
	q.facts.Method = method
	return q.agree(who)
}

// methodsIn returns the methods that parameters of a query name. ok is false if
// one of them is a method that never passes.
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

// methodNamed returns the method that the value of a parameter names; "": none.
// ok is false if it is a method that never passes.
func methodNamed(value string) (m string, ok bool) {
	m = strings.ToUpper(strings.TrimSpace(value))
	return m, m == "" || checkMethod(m) == nil
}

// isMethodParameter reports whether a framework looks for the method in a
// parameter of this name. PHP turns dots and spaces in names into underscores,
// ends a name at a bracket (it is a list then), and at a NUL.
func isMethodParameter(name string) bool {
	if i := strings.IndexAny(name, "[\x00"); i >= 0 {
		name = name[:i]
	}
	name = httpfield.FoldName(strings.TrimSpace(name))
	return name == httpfield.FoldName("_method") || slices.Contains(methodOverrides, name)
}
