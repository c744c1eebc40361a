package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
)

// A program with a login page, a page behind it, and a logout.
func ExampleManager() {
	secret := make([]byte, 32) // kept between starts, or all sessions end with the process
	_, _ = rand.Read(secret)
	m, err := sessions.NewManager(sessions.Options{
		Store:       sessions.NewMemory(),
		Secrets:     [][]byte{secret},
		IdleTimeout: 30 * time.Minute,
		Lifetime:    12 * time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// Here, the password has been checked.
		s := m.Open(r)
		err := s.Login(r.Context(), sessions.Login{User: r.FormValue("user")})
		if err := errors.Join(err, m.Commit(s, w.Header(), http.StatusNoContent)); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		switch i, err := m.Find(r); {
		case errors.Is(err, sessions.ErrNotFound):
			http.Error(w, "please sign in", http.StatusUnauthorized)
		case err != nil: // neither yes nor no
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		default:
			m.Touch(i)
			_, _ = fmt.Fprintln(w, "hello", i.User)
		}
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		s := m.Open(r)
		if err := errors.Join(s.Logout(r.Context()), m.Commit(s, w.Header(), http.StatusNoContent)); err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		}
	})

	var cookie *http.Cookie
	for _, line := range []string{"GET /", "POST /login?user=alice", "GET /", "POST /logout", "GET /"} {
		var method, path string
		_, _ = fmt.Sscan(line, &method, &path)
		r := httptest.NewRequest(method, "https://app.example"+path, nil) //nolint:noctx // an example
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if set := w.Result().Cookies(); len(set) > 0 && set[0].MaxAge > 0 {
			cookie = set[0]
			fmt.Println("the browser has", cookie.Name, "for", time.Duration(cookie.MaxAge)*time.Second)
		}
		fmt.Println(line, w.Code)
	}
	// Output:
	// GET / 401
	// the browser has __Host-gatehouse for 12h0m0s
	// POST /login?user=alice 204
	// GET / 200
	// POST /logout 200
	// GET / 401
}

// What a shop keeps for a visitor who has not signed in.
func ExampleSession() {
	ctx := context.Background()
	m, err := sessions.NewManager(sessions.Options{
		Store: sessions.NewMemory(), Secrets: [][]byte{make([]byte, 32)}, IdleTimeout: time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	s := m.OpenByID("") // in a handler: m.Open(r)
	err = errors.Join(
		s.Set(ctx, "basket", []string{"tea", "milk"}),
		s.Save(ctx), // in a handler: m.Commit, which sends the cookie too
	)
	fmt.Println(err)

	next := m.OpenByID(s.ID()) // the next request
	var basket []string
	found, err := next.Get(ctx, "basket", &basket)
	fmt.Println(basket, found, err)

	// Paying is not for an id that somebody may have seen before.
	fmt.Println(next.Cycle(ctx), next.ID() != s.ID())

	found, err = next.Pop(ctx, "basket", &basket)
	fmt.Println(found, err, next.Modified())
	fmt.Println(next.Flush(ctx), next.Empty())
	// Output:
	// <nil>
	// [tea milk] true <nil>
	// <nil> true
	// true <nil> true
	// <nil> true
}

// A cookie for all hosts of a domain. Such a cookie cannot have the prefix __Host-,
// and each of the hosts can set it.
func ExampleCookie() {
	m, err := sessions.NewManager(sessions.Options{
		Store: sessions.NewMemory(), Secrets: [][]byte{make([]byte, 32)}, IdleTimeout: time.Hour,
		Cookie: sessions.Cookie{Name: "shop", Domain: "example.com", SameSite: http.SameSiteStrictMode},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil) //nolint:noctx // an example
	s, h := m.Open(r), http.Header{}
	fmt.Println(s.Set(r.Context(), "theme", "dark"), m.Commit(s, h, http.StatusOK))
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Name, c.Domain, c.Secure, c.HttpOnly, c.SameSite == http.SameSiteStrictMode, c.MaxAge)
	// Output:
	// <nil> <nil>
	// shop example.com true true true 3600
}

// "Remember me" for a month, and otherwise until the browser closes.
func ExampleExpiry() {
	ctx := context.Background()
	m, err := sessions.NewManager(sessions.Options{
		Store: sessions.NewMemory(), Secrets: [][]byte{make([]byte, 32)}, IdleTimeout: time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	for _, e := range []sessions.Expiry{{AtBrowserClose: true}, {After: 30 * 24 * time.Hour}, {}} {
		s := m.OpenByID("")
		if err := s.SetExpiry(ctx, e); err != nil {
			fmt.Println(err)
		}
		at, browser, err := s.Expires(ctx)
		fmt.Println(time.Until(at).Round(time.Hour), browser, err)
	}
	// Output:
	// 1h0m0s true <nil>
	// 720h0m0s false <nil>
	// 1h0m0s false <nil>
}

// The store itself, which a Manager usually stands in front of.
func ExampleMemory() {
	ctx := context.Background()
	store := sessions.NewMemory()
	in := time.Now().Add(time.Hour)
	fmt.Println(store.Create(ctx, "a1", sessions.Record{User: "alice", Expires: in}))
	fmt.Println(store.Create(ctx, "a1", sessions.Record{User: "mallory", Expires: in}))
	fmt.Println(store.Create(ctx, "b2", sessions.Record{User: "bob", Expires: in}))
	for e, err := range store.List(ctx, sessions.Query{User: "alice"}) {
		fmt.Println(e.Key, e.User, e.Version, err)
	}
	gone, err := store.DeleteExpired(ctx, in, 100)
	fmt.Println(len(gone), err)
	// Output:
	// <nil>
	// sessions: key is taken
	// <nil>
	// a1 alice 1 <nil>
	// 2 <nil>
}

// Sessions that outlive the process, in one file.
func ExampleBolt() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // an example
	db, err := boltfile.Open(filepath.Join(dir, "sessions.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() //nolint:errcheck // an example

	store, err := sessions.NewBolt(db)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(store.Create(ctx, "a1", sessions.Record{User: "alice", Expires: time.Now().Add(time.Hour)}))
	n, err := store.Count(ctx)
	fmt.Println(n, err, store.Close())
	// Output:
	// <nil>
	// 1 <nil> <nil>
}

// Up to 100 MB of sessions in memory, in front of a store that is slower.
func ExampleCached() {
	ctx := context.Background()
	slow := sessions.NewMemory() // or a Bolt, a redisstore.Store, a pgstore.Store
	store := sessions.NewCached(slow, 100<<20)
	fmt.Println(store.Create(ctx, "a1", sessions.Record{User: "alice", Expires: time.Now().Add(time.Hour)}))

	r, err := store.Load(ctx, "a1") // from memory
	fmt.Println(r.User, err)

	_, err = store.Delete(ctx, "a1") // no later Load finds it
	fmt.Println(err)
	_, err = store.Load(ctx, "a1")
	fmt.Println(err, store.Close())
	// Output:
	// <nil>
	// alice <nil>
	// <nil>
	// sessions: no such session <nil>
}
