package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// TestAddedWay adds a way in behind the session cookie, as a program's token
// would be: its identity comes without a session.
func TestAddedWay(t *testing.T) {
	hasher := password.NewHasher(password.Options{})
	keys := [][]byte{[]byte("thirty-two bytes that nobody knows")}
	manager, err := sessions.NewManager(sessions.Options{Store: sessions.NewMemory(), Secrets: keys, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	cookies, err := NewCookies("", nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Sessions: manager, Accounts: account.InOrder(hasher), Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	a.ways = append(a.ways, badge{})

	for _, tt := range []struct {
		badge, want string
		code        int
	}{
		{"", "", 0},
		{"forged", "", 0},
		{"robot", "robot", 0},
		{"unreadable", "", http.StatusServiceUnavailable},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Badge", tt.badge)
		id, err := a.Identify(r)
		if tt.code != 0 {
			if e, ok := errors.AsType[*web.Error](err); !ok || e.Code != tt.code || id != nil {
				t.Errorf("badge %q: %v, %v, want %d", tt.badge, id, err, tt.code)
			}
			continue
		}
		switch {
		case err != nil:
			t.Errorf("badge %q: %v", tt.badge, err)
		case id == nil && tt.want != "", id != nil && id.Name != tt.want:
			t.Errorf("badge %q: %+v, want %q", tt.badge, id, tt.want)
		case id.HasSession():
			t.Errorf("badge %q: has a session", tt.badge)
		}
	}
}

// A badge is a way in for whoever shows one.
type badge struct{}

func (badge) Identify(r *http.Request) (*Identity, error) {
	switch r.Header.Get("Badge") {
	case "robot":
		return &Identity{Name: "robot", Source: "badge", Methods: []string{"hwk"}, Level: 1}, nil
	case "unreadable":
		return nil, errors.New("the reader of badges does not answer")
	}
	return nil, nil //nolint:nilnil // no badge, or one that does not count
}
