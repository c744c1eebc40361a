package portal_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/internal/value"
)

// A notebook is a second factor: a list of words for each of its people, each
// of which counts once.
type notebook struct {
	mu    sync.Mutex
	words map[string][]string
	down  atomic.Bool
}

var errNoNotebook = errors.New("the notebook cannot be found")

func (*notebook) Method() string { return "otp" }

func (n *notebook) Enrolled(_ context.Context, a account.Account) (bool, error) {
	if n.down.Load() {
		return false, errNoNotebook
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.words[a.Name]
	return ok, nil
}

func (n *notebook) Verify(_ context.Context, a account.Account, answer string) (bool, error) {
	if n.down.Load() {
		return false, errNoNotebook
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.words[a.Name], answer)
	if i < 0 {
		return false, nil
	}
	n.words[a.Name] = slices.Delete(n.words[a.Name], i, i+1)
	return true, nil
}

// withNotebook is a gate where alice has a second factor, and bob has none.
func withNotebook(t *testing.T, change ...func(*gate)) (*gate, *notebook) {
	t.Helper()
	n := &notebook{words: map[string][]string{"alice": {"apple", "pear", "plum"}}}
	g := newGate(t, append(change, func(g *gate) { g.factors = []auth.Factor{n} })...)
	return g, n
}

// halfway types alice's password, and is asked for the second factor.
func (b *browser) halfway(next string) *browser {
	b.t.Helper()
	b.login("alice", alicesPassword, "next", next).want(b.t, http.StatusSeeOther, "/_gate/factor")
	return b
}

// code sends the answer to the second step.
func (b *browser) code(word string) answer {
	b.t.Helper()
	return b.post("/_gate/factor", "csrf_token", b.token("/_gate/factor"), "code", word)
}

// TestAddedFactor adds a second factor: accounts that have it are asked for it
// after the password, and the session says how they have signed in.
func TestAddedFactor(t *testing.T) {
	g, _ := withNotebook(t)
	b := g.browser(t).halfway("/wiki?page=1")
	if who := b.who(); who != "" {
		t.Fatalf("half-way, the application sees %q", who)
	}
	if got := b.code("banana"); got.StatusCode != http.StatusUnauthorized || !strings.Contains(got.body, "Incorrect code.") {
		t.Errorf("wrong code: %s\n%s", got.Status, got.body)
	}
	b.code("apple").want(t, http.StatusSeeOther, "/wiki?page=1")
	if who := b.who(); who != "alice" {
		t.Errorf("the application sees %q", who)
	}
	if info := b.session(); !slices.Equal(info.Methods, []string{"pwd", "otp"}) || info.Level != 2 {
		t.Errorf("signed in by %v, level %d", info.Methods, info.Level)
	}
	if log := g.log.String(); !strings.Contains(log, `"msg":"factor.failure","log":"audit"`) || !strings.Contains(log, `"methods":["pwd","otp"]`) {
		t.Errorf("the audit log does not say it:\n%s", log)
	}
	c := g.browser(t)
	c.login("bob", bobsPassword, "next", "/wiki").want(t, http.StatusSeeOther, "/wiki")
	if info := c.session(); !slices.Equal(info.Methods, []string{"pwd"}) || info.Level != 1 {
		t.Errorf("without a factor: signed in by %v, level %d", info.Methods, info.Level)
	}
}

// A half-done login admits to nothing, wherever its visitor goes.
func TestHalfALoginAdmitsToNothing(t *testing.T) {
	g, _ := withNotebook(t)
	b := g.browser(t).halfway("/app")
	b.get("/app").want(t, http.StatusFound, "/_gate/login?next=/app")
	b.get("/_gate/").want(t, http.StatusFound, "/_gate/login?next=/")
	if got := b.get("/_gate/session"); !strings.Contains(got.body, `"authenticated":false`) {
		t.Errorf("session: %s", got.body)
	}
	if got := b.post("/_gate/factor", "csrf_token", b.token("/_gate/factor")); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("no code: %s", got.Status)
	}
	if who := b.who(); who != "" {
		t.Errorf("the application sees %q", who)
	}
}

// The second step is that of one browser, from one of our pages.
func TestTheSecondStepIsBoundToItsBrowser(t *testing.T) {
	g, _ := withNotebook(t)
	b := g.browser(t).halfway("/app")
	token := b.token("/_gate/factor")

	other := g.browser(t)
	other.get("/_gate/factor").want(t, http.StatusFound, "/_gate/login")
	other.token("/_gate/login") // takes a cookie
	other.post("/_gate/factor", "csrf_token", token, "code", "apple").want(t, http.StatusSeeOther, "/_gate/login")
	if got := b.post("/_gate/factor", "csrf_token", "forged", "code", "apple"); got.StatusCode != http.StatusForbidden {
		t.Errorf("forged token: %s", got.Status)
	}
	b.site = "cross-site"
	if got := b.post("/_gate/factor", "csrf_token", token, "code", "apple"); got.StatusCode != http.StatusForbidden {
		t.Errorf("from another site: %s", got.Status)
	}
	b.site = "same-origin"
	b.code("apple").want(t, http.StatusSeeOther, "/app") // not used up by any of these
}

// An id that somebody has planted in the browser before the password opens
// nothing of the login.
func TestTheSecondStepHasANewID(t *testing.T) {
	g, _ := withNotebook(t)
	long := "/app?" + strings.Repeat("x", 4000) // is kept in a session, which has an id
	b := g.browser(t)
	b.get(long)
	planted := b.cookies()["gatehouse"]
	if planted == "" {
		t.Fatal("there is no session to plant")
	}
	b.halfway("/app")
	attacker := g.browser(t)
	attacker.setCookie("gatehouse", planted)
	attacker.get("/_gate/factor").want(t, http.StatusFound, "/_gate/login")
	half := b.cookies()["gatehouse"]
	b.code("apple").want(t, http.StatusSeeOther, "/app")
	if signed := b.cookies()["gatehouse"]; half == planted || signed == half {
		t.Error("an id stays at a gain of rights")
	}
	attacker.setCookie("gatehouse", half)
	if who := attacker.who(); who != "" {
		t.Errorf("with the id of the half-done login the application sees %q", who)
	}
}

// What changes the account in between ends the login, and so does time.
func TestTheSecondStepEndsWithItsAccount(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *gate){
		"disabled": func(t *testing.T, g *gate) { t.Helper(); g.disable(t, true) },
		"password": func(t *testing.T, g *gate) { t.Helper(); g.reset(t, "alice") },
		"deleted": func(t *testing.T, g *gate) {
			t.Helper()
			if err := g.database.Delete(context.Background(), "alice"); err != nil {
				t.Error(err)
			}
		},
		"time": func(t *testing.T, g *gate) { t.Helper(); g.portal.SetHalfway(-time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := withNotebook(t)
			b := g.browser(t).halfway("/app")
			token := b.token("/_gate/factor")
			change(t, g)
			b.post("/_gate/factor", "csrf_token", token, "code", "apple").want(t, http.StatusSeeOther, "/_gate/login")
			if who := b.who(); who != "" {
				t.Errorf("the application sees %q", who)
			}
			b.get("/_gate/factor").want(t, http.StatusFound, "/_gate/login")
		})
	}
}

// Codes are guessed no faster than passwords, and a login does not bear many.
func TestCodesAreThrottled(t *testing.T) {
	g, _ := withNotebook(t)
	b := g.browser(t).halfway("/app")
	for range 4 {
		if got := b.code("banana"); got.StatusCode != http.StatusUnauthorized {
			t.Fatalf("wrong code: %s", got.Status)
		}
	}
	b.code("banana").want(t, http.StatusSeeOther, "/_gate/login")
	b.get("/_gate/factor").want(t, http.StatusFound, "/_gate/login")

	// The right password in between gives nothing back.
	g, _ = withNotebook(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 3, Per: time.Hour} })
	for range 3 {
		g.browser(t).halfway("/app").code("banana")
	}
	last := g.browser(t)
	if got := last.login("alice", alicesPassword); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("after three wrong codes: %s", got.Status)
	}
}

// Two requests with one code sign in once.
func TestACodeCountsOnce(t *testing.T) {
	g, _ := withNotebook(t)
	first, second := g.browser(t).halfway("/app"), g.browser(t).halfway("/app")
	first.code("apple").want(t, http.StatusSeeOther, "/app")
	if got := second.code("apple"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("a used code: %s", got.Status)
	}
	if got := first.get("/_gate/factor"); got.StatusCode != http.StatusFound {
		t.Errorf("after the login: %s", got.Status)
	}
}

// A factor that cannot tell lets nobody in, at either step.
func TestAFactorThatCannotTellLetsNobodyIn(t *testing.T) {
	g, n := withNotebook(t)
	n.down.Store(true)
	b := g.browser(t)
	if got := b.login("alice", alicesPassword); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("first step: %s", got.Status)
	}
	n.down.Store(false)
	b.halfway("/app")
	token := b.token("/_gate/factor")
	n.down.Store(true)
	if got := b.post("/_gate/factor", "csrf_token", token, "code", "apple"); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("second step: %s", got.Status)
	}
	if who := b.who(); who != "" {
		t.Errorf("the application sees %q", who)
	}
	n.down.Store(false)
	b.code("apple").want(t, http.StatusSeeOther, "/app") // it was not used up
}
