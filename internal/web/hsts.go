package web

import "net/http"

const hstsHeader = "Strict-Transport-Security"

// DefaultHSTS is what our own pages say over https: a year.
const DefaultHSTS = "max-age=31536000"

// HSTS puts Strict-Transport-Security with that value into each answer over
// https, those of applications included, whose own is replaced. It comes after
// Begin. An empty value leaves answers as they are: our own pages have a year
// by themselves then, see PageHeaders.
func HSTS(value string) Middleware {
	return func(next http.Handler) http.Handler {
		if value == "" {
			return next
		}
		line := []string{value}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if From(r.Context()).Secure() {
				w.Header()[hstsHeader] = line
			}
			next.ServeHTTP(w, r)
		})
	}
}
