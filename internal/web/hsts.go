package web

import "net/http"

const hstsHeader = "Strict-Transport-Security"

// DefaultHSTS is the Strict-Transport-Security of our own pages: a year, for this host
// alone.
const DefaultHSTS = "max-age=31536000"

// HSTS sets Strict-Transport-Security to value in every answer over https (RFC 6797).
// That of an application is replaced. It must come after RequestInfo in the chain.
// If value is "", it does nothing; our own pages then have DefaultHSTS (PageHeaders).
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
