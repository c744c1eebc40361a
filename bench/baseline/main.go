// Command baseline is a proxy made of the standard library's httputil.ReverseProxy,
// tuned, without authentication. The benchmark compares with it in the same run.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "`ADDR` to listen on")
	upstream := flag.String("upstream", "", "`URL` of what is behind it")
	sink := flag.String("sink", "", "`URL` of what is behind /upload and /ws")
	flag.Parse()
	if err := serve(*listen, *upstream, *sink); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func serve(listen, upstream, sink string) error {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 1024, // the default of 2 would measure connecting
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	pages, err := proxy(transport, upstream)
	if err != nil {
		return err
	}
	rest, err := proxy(transport, sink)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("/upload", rest)
	mux.Handle("/ws", rest)
	hs := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 120 * time.Second}
	return hs.ListenAndServe()
}

func proxy(transport *http.Transport, upstream string) (http.Handler, error) {
	u, err := url.Parse(upstream)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is no upstream", upstream)
	}
	return &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: new(buffers),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Forwarded-User", "alice")
		},
	}, nil
}

// buffers is a pool of the buffers through which bodies are copied.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
