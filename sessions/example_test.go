package sessions_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"gatehouse/sessions"
)

// A login page, and a page behind it.
func ExampleManager() {
	secret := make([]byte, 32)
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

	login := func(w http.ResponseWriter, r *http.Request) error {
		s := m.Open(r)
		if err := s.Login(r.Context(), sessions.Login{User: "alice"}); err != nil {
			return err
		}
		return m.Commit(s, w.Header(), http.StatusSeeOther)
	}
	whoami := func(r *http.Request) string {
		switch i, err := m.Find(r); {
		case errors.Is(err, sessions.ErrNotFound):
			return "nobody"
		case err != nil:
			return "could not tell"
		default:
			m.Touch(i)
			return i.User
		}
	}

	r := httptest.NewRequest(http.MethodGet, "https://gate.example/", nil) //nolint:noctx // an example
	fmt.Println(whoami(r))
	w := httptest.NewRecorder()
	fmt.Println(login(w, r))
	c := w.Result().Cookies()[0]
	r.AddCookie(c)
	fmt.Println(whoami(r), c.Name, c.MaxAge)
	// Output:
	// nobody
	// <nil>
	// alice __Host-gatehouse 43200
}

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
		s.Save(ctx), // in a handler: m.Commit
	)
	fmt.Println(err)

	var basket []string
	found, err := m.OpenByID(s.ID()).Get(ctx, "basket", &basket)
	fmt.Println(basket, found, err)
	// Output:
	// <nil>
	// [tea milk] true <nil>
}

func ExampleStore() {
	ctx := context.Background()
	var s sessions.Store = sessions.NewMemory()
	fmt.Println(s.Create(ctx, "a1", sessions.Record{User: "alice", Expires: time.Now().Add(time.Hour)}))
	slow, err := s.Load(ctx, "a1")
	fmt.Println(slow.User, err)

	// While a slow request works, its user logs out.
	_, err = s.Delete(ctx, "a1")
	fmt.Println(err)
	fmt.Println(s.Update(ctx, "a1", slow))
	// Output:
	// <nil>
	// alice <nil>
	// <nil>
	// sessions: no such session
}
