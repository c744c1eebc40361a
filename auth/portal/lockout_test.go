package portal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/auth/throttle"
	"gatehouse/internal/value"
)

// theDefaults are the rates of the contract.
func theDefaults(g *gate) {
	g.rates = throttle.Config{PerAccount: value.Rate{Count: 10, Per: 15 * time.Minute}, PerNetwork: value.Rate{Count: 100, Per: 15 * time.Minute}}
}

// attacker tries a password from the address, in a browser that is not known.
func (g *gate) attacker(t *testing.T, addr, name, password string) answer {
	t.Helper()
	b := g.browser(t)
	b.addr = addr
	return b.login(name, password)
}

// known is a browser that has signed in to the account, and out again.
func (g *gate) known(t *testing.T, name, password string) *browser {
	t.Helper()
	b := g.browser(t)
	b.signIn(name, password)
	b.post("/_gate/logout", "csrf_token", b.token("/_gate/logout")).want(t, http.StatusSeeOther, "/_gate/login")
	return b
}

// Ten wrong tries from an office's address must not keep the owner of the
// account out, who has signed in at that address before.
func TestWrongTriesInAnOfficeDoNotLockTheOwnerOut(t *testing.T) {
	g := newGate(t, theDefaults)
	alice := g.known(t, "alice", alicesPassword)
	for i := range 12 {
		a := g.attacker(t, "192.0.2.1", "alice", "wrong")
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[i < 10]; a.StatusCode != want {
			t.Errorf("try %d: %s, want %d", i, a.Status, want)
		}
	}
	g.attacker(t, "192.0.2.1", "alice", alicesPassword).want(t, http.StatusTooManyRequests, "")
	alice.login("alice", "a slip of hers").want(t, http.StatusUnauthorized, "")
	alice.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
}

// A hundred wrong names must not close a network to those who have signed in
// there before.
func TestWrongNamesDoNotCloseANetwork(t *testing.T) {
	g := newGate(t, theDefaults)
	alice, bob := g.known(t, "alice", alicesPassword), g.known(t, "bob", bobsPassword)
	throttled := 0
	for i := range 120 {
		if g.attacker(t, "192.0.2.1", fmt.Sprint("nobody", i), "wrong").StatusCode == http.StatusTooManyRequests {
			throttled++
		}
	}
	if throttled < 20 {
		t.Errorf("%d of 120 were throttled", throttled)
	}
	g.attacker(t, "192.0.2.1", "alice", alicesPassword).want(t, http.StatusTooManyRequests, "")
	alice.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
	bob.login("bob", bobsPassword).want(t, http.StatusSeeOther, "/")
}

// Who has a /48 has 65,536 networks, and is one guesser all the same: it must
// not close an account to new browsers.
func TestNetworksOfOneSiteAreOneGuesser(t *testing.T) {
	t.Parallel()
	g := newGate(t, theDefaults)
	tried := map[string]int{}
	for i := range 200 {
		for site, addr := range map[string]string{"/48": fmt.Sprintf("2001:db8:7:%x::1", i%20), "/24": fmt.Sprintf("198.51.100.%d", i%20)} {
			if g.attacker(t, addr, "alice", "wrong").StatusCode == http.StatusUnauthorized {
				tried[site]++
			}
		}
	}
	if tried["/48"] > 10 || tried["/24"] > 20 {
		t.Errorf("passwords looked at: %v", tried)
	}
	g.attacker(t, "2001:db8:8::1", "alice", alicesPassword).want(t, http.StatusSeeOther, "/")
	g.attacker(t, "203.0.113.1", "alice", alicesPassword).want(t, http.StatusSeeOther, "/")
}

// The cookie of a known device is good for its account only, and cannot be
// made by anybody else.
func TestDeviceCookiesAreBound(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 2, Per: time.Hour} })
	bob := g.known(t, "bob", bobsPassword)
	for range 3 {
		g.attacker(t, "192.0.2.1", "alice", "wrong")
	}
	bob.login("alice", alicesPassword).want(t, http.StatusTooManyRequests, "")
	forger := g.browser(t)
	value := bob.cookies()["gatehouse_device"]
	forger.setCookie("gatehouse_device", "B"+value[1:])
	forger.login("alice", alicesPassword).want(t, http.StatusTooManyRequests, "")
	if value == "" {
		t.Fatal("bob's browser is not known")
	}
}

// Two hundred names from forty networks, few enough from each: noticed and
// slowed down, but not for those who have signed in there.
func TestSprayIsNoticed(t *testing.T) {
	g := newGate(t, theDefaults)
	alice := g.known(t, "alice", alicesPassword)
	throttled := 0
	for i := range 200 {
		if g.attacker(t, fmt.Sprintf("10.0.%d.1", i%40), fmt.Sprint("person", i), "Winter2026!").StatusCode == http.StatusTooManyRequests {
			throttled++
		}
	}
	if throttled == 0 {
		t.Error("nothing was slowed down")
	}
	text := g.log.String()
	if n := strings.Count(text, `"msg":"login.spraying"`); n != 1 {
		t.Errorf("%d audit events, want one", n)
	}
	if !strings.Contains(text, `"level":"WARN","msg":"many names are tried with wrong passwords`) {
		t.Error("no warning in the log")
	}
	w := httptest.NewRecorder()
	g.metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), "gatehouse_login_sprays_total 1") {
		t.Error("not counted")
	}
	alice.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
	g.attacker(t, "192.0.2.1", "bob", bobsPassword).want(t, http.StatusSeeOther, "/")
	g.attacker(t, "10.0.77.1", "bob", bobsPassword).want(t, http.StatusSeeOther, "/")
}

// A busy morning is no spray: people mistype, and then do not.
func TestBusyMorningIsNoSpray(t *testing.T) {
	g := newGate(t, theDefaults)
	for i := range 120 {
		b := g.browser(t)
		b.addr = fmt.Sprintf("10.1.%d.1", i)
		name := []string{"alice", "bob"}[i%2]
		if i%3 == 0 {
			b.login(fmt.Sprint("a typo ", i), "wrong")
		}
		b.signIn(name, map[string]string{"alice": alicesPassword, "bob": bobsPassword}[name])
	}
	if strings.Contains(g.log.String(), "login.spraying") {
		t.Error("taken for a spray")
	}
}

// Behind a front that is not trusted, all visitors are one: that is said.
func TestFrontThatIsNotTrusted(t *testing.T) {
	const warning = "all logins come from one address that sends X-Forwarded-For and is not in trusted_proxies"
	g := newGate(t, func(g *gate) { g.trusted = "10.0.0.0/8" })
	for i := range 12 {
		g.attacker(t, fmt.Sprintf("203.0.113.%d", i), "alice", "wrong")
	}
	text := g.log.String()
	if n := strings.Count(text, warning); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, text)
	}
	if !strings.Contains(text, `"peer":"127.0.0.1"`) {
		t.Error("the address is not named")
	}
	trusted := newGate(t)
	for i := range 12 {
		trusted.attacker(t, fmt.Sprintf("203.0.113.%d", i), "alice", "wrong")
	}
	if strings.Contains(trusted.log.String(), warning) {
		t.Error("said of a front that is trusted")
	}
}
