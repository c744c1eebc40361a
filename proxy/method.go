package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/web"
)

// judgeAs judges a request also as each of the methods that its query names:
// frameworks take POST /x?_method=DELETE for a DELETE (Symfony, Laravel,
// method-override of Express). The strictest decides. It is asked only where a
// rule looks at the method. Those of a body are not seen: see docs/apps.
func (q *question) judgeAs(v verdict, who *access.Who) (verdict, error) {
	if q.query == "" || v.route == nil || !v.route.rules.ByMethod() {
		return v, nil
	}
	methods, ok := methodsIn(q.query[1:])
	if !ok {
		return verdict{}, web.Refuse(http.StatusBadRequest, "")
	}
	own := q.facts.Method
	defer func() { q.facts.Method = own }()
	for _, m := range methods {
		q.facts.Method = m
		other, err := q.agree(who)
		if err != nil {
			return verdict{}, err
		}
		if other.decision < v.decision {
			v = other
			v.as = m
		}
	}
	return v, nil
}

// methodsIn returns the methods that parameters of a query name. ok is false
// when one of them never passes.
func methodsIn(query string) (list []string, ok bool) {
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if !isMethodParameter(unescapeQuery(name)) {
			continue
		}
		m := strings.ToUpper(strings.TrimSpace(unescapeQuery(value)))
		if m == "" {
			continue
		}
		if checkMethod(m) != nil {
			return nil, false
		}
		list = append(list, m)
	}
	return list, true
}

// isMethodParameter reports whether frameworks look for the method in a
// parameter of this name. PHP takes dots and spaces in names for underscores.
func isMethodParameter(name string) bool {
	name = fold(strings.TrimLeft(name, " "))
	return name == fold("_method") || slices.Contains(methodOverrides, name)
}

func unescapeQuery(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
