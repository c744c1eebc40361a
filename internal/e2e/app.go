package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve starts an application that answers every request with name, and returns
// its URL. It ends with the test.
func Serve(tb testing.TB, name string) (url string) {
	tb.Helper()
	return ServeFunc(tb, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// ServeFunc is Serve for an application of the test's own.
func ServeFunc(tb testing.TB, app http.HandlerFunc) (url string) {
	tb.Helper()
	s := httptest.NewServer(app)
	tb.Cleanup(s.Close)
	return s.URL
}
