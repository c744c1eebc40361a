package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/sessions"
)

func newAuth(t *testing.T) *auth.Auth {
	t.Helper()
	keys := [][]byte{[]byte("thirty-two bytes that nobody knows")}
	manager, err := sessions.NewManager(sessions.Options{Store: sessions.NewMemory(), Secrets: keys, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(manager.Close)
	cookies, err := auth.NewCookies("", nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	hasher := password.NewHasher(password.Options{Params: password.Params{Memory: 64, Time: 1, Lanes: 1}})
	a, err := auth.New(auth.Options{Sessions: manager, Accounts: account.InOrder(hasher), Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// An identity that came without a session has none that could be used, renewed
// or found to count.
func TestIdentityWithoutASession(t *testing.T) {
	a, r := newAuth(t), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for name, id := range map[string]*auth.Identity{"nobody": nil, "no session": {Name: "alice", Level: 1, Methods: []string{"pwd"}}} {
		if id.HasSession() {
			t.Errorf("%s: has a session", name)
		}
		h := http.Header{}
		a.RecordActivity(id)
		if a.Refresh(r, id, h); len(h) > 0 {
			t.Errorf("%s: Refresh sets %v", name, h)
		}
	}
	a.Used(t.Context(), sessions.Info{})
	for name, info := range map[string]sessions.Info{"the zero session": {}, "one with a name alone": {User: "alice", Source: "file"}} {
		if ok, err := a.Counts(t.Context(), info); ok || err != nil {
			t.Errorf("%s: Counts %t, %v; want no", name, ok, err)
		}
	}
	if _, err := a.ConfirmPassword(r, &auth.Identity{Name: "alice"}, "a password"); !errors.Is(err, account.ErrMoved) {
		t.Errorf("ConfirmPassword without a session: %v", err)
	}
}
