package engine_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"gatehouse/proxy/engine"
)

// A handler that forwards everything to one upstream.
func ExampleHTTP1() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s for %s", r.Method, r.URL, r.Header.Get("X-Forwarded-User")) //nolint:gosec // G705: an example, and plain text
	}))
	defer app.Close()

	up := engine.NewHTTP1(engine.HTTP1Options{
		Address:  app.Listener.Addr().String(),
		Timeouts: engine.Timeouts{Connect: 5 * time.Second, Response: time.Minute, Stall: time.Minute},
	})
	defer up.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		err := up.Forward(w, &engine.Request{
			In: in, Method: in.Method, Target: in.RequestURI, Host: in.Host,
			Header: engine.Header{{Name: "X-Forwarded-User", Values: []string{"alice"}}},
		})
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer front.Close()

	res, err := front.Client().Get(front.URL + "/page?x=1") //nolint:noctx // an example
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close() //nolint:errcheck // an example
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	// Output: GET /page?x=1 for alice
}

// The kind of an Error says whose fault it was.
func ExampleError() {
	err := error(&engine.Error{Kind: engine.Timeout, Err: errors.New("no answer within 1m0s")})
	var e *engine.Error
	if errors.As(err, &e) && e.Kind == engine.Timeout {
		fmt.Println("504:", e)
	}
	// Output: 504: timeout: no answer within 1m0s
}
