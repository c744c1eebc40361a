package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProxy(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("X-Forwarded-User"), " ", r.URL.Path, " ", r.Host) //nolint:gosec // no browser reads it
	}))
	defer app.Close()
	h, err := proxy(new(http.Transport), app.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(h)
	defer front.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "app.example.com"
	resp, err := front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "alice /x app.example.com" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := proxy(nil, "localhost"); err == nil {
		t.Error("an upstream without a host is no error")
	}
}
