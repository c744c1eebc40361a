package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/proxy"
)

// knock is a gate that believes a cookie. The real ones are
// *auth.Auth and *portal.Portal.
type knock struct{}

func (knock) Identify(r *http.Request) (*auth.Identity, error) {
	if c, err := r.Cookie("gatehouse"); err == nil {
		return &auth.Identity{Name: c.Value}, nil
	}
	return nil, nil
}

func (knock) RecordActivity(*auth.Identity) {}

func (knock) Refresh(*http.Request, *auth.Identity, http.Header) {}

func (knock) Challenge(w http.ResponseWriter, _ *http.Request, _ auth.Need) error {
	w.WriteHeader(http.StatusUnauthorized)
	return nil
}

func (knock) ServeHTTP(http.ResponseWriter, *http.Request) error {
	return web.Refuse(http.StatusNotFound, "")
}

func (knock) CookieNames() []string { return []string{"gatehouse"} }

func Example() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s for %q, cookies %q", r.URL.Path, r.Header.Get("X-Forwarded-User"), r.Header.Get("Cookie")) //nolint:gosec // G705: an example
	}))
	defer app.Close()

	var identity proxy.IdentityConfig
	identity.SetDefaults()
	p, err := proxy.New(proxy.Options{
		Auth: knock{}, Pages: knock{},
		Identity: identity,
		Routes: []proxy.RouteConfig{{
			Upstream: app.URL,
			Access:   []access.RuleConfig{{Path: "/static", Public: true}, {Path: "/admin", Groups: []string{"admins"}}, {}},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	pages, err := web.NewPages(web.Branding{})
	if err != nil {
		fmt.Println(err)
		return
	}
	front := httptest.NewServer(web.RequestInfo(nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.ServeHTTP(w, r); err != nil {
			pages.Answer(w, r, err)
		}
	})))
	defer front.Close()

	for _, ask := range []struct{ path, cookie string }{
		{"/static/a.css", ""}, {"/wiki", ""}, {"/wiki", "gatehouse=alice; theme=dark"}, {"/admin/users", "gatehouse=alice"},
	} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, front.URL+ask.path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Header.Set("Cookie", ask.cookie)
		r.Header.Set("X-Forwarded-User", "root") // of no use
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Println(res.StatusCode)
		if res.StatusCode == http.StatusOK {
			fmt.Println(string(body))
		}
	}
	// Output:
	// 200
	// /static/a.css for "", cookies ""
	// 401
	// 200
	// /wiki for "alice", cookies "theme=dark"
	// 403
}

func ExampleProxy_Explain() {
	p, err := proxy.New(proxy.Options{
		Auth: knock{}, Pages: knock{},
		Routes: []proxy.RouteConfig{{
			Upstream: "http://127.0.0.1:3000",
			Access:   []access.RuleConfig{{Path: "/static", Public: true}, {}},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for _, path := range []string{"/static/a.css", "/wiki", "/static/%2e%2e/wiki"} {
		fmt.Println(path, p.Explain(context.Background(), proxy.ExplainRequest{URL: path}).Decision)
	}
	// Output:
	// /static/a.css public
	// /wiki challenge
	// /static/%2e%2e/wiki ambiguous
}
