package portal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/auth/account"
	"gatehouse/auth/throttle"
	"gatehouse/internal/limit"
	"gatehouse/internal/secret"
	"gatehouse/internal/value"
)

func TestLogin(t *testing.T) {
	for _, g := range []*gate{newGate(t), newGate(t, withTLS)} {
		b := g.browser(t)
		b.get("/app?a=1&b=%2F").want(t, http.StatusFound, "/_gate/login?next=/app%3Fa%3D1%26b%3D%252F")
		a := b.get("/_gate/login?next=/app%3Fa%3D1").want(t, http.StatusOK, "")
		if !strings.Contains(a.body, `name="next" id="next" value="/app?a=1"`) {
			t.Errorf("the form does not know the way back:\n%s", a.body)
		}
		b.login("alice", alicesPassword, "next", "/app?a=1#top").want(t, http.StatusSeeOther, "/app?a=1#top")
		if who := b.who(); who != "alice" {
			t.Errorf("signed in as %q", who)
		}
		b.get("/_gate/login?next=/x").want(t, http.StatusFound, "/x")
		b.get("/_gate/login?next=//evil.test").want(t, http.StatusFound, "/")
		b.get("/_gate/login?rd=/y").want(t, http.StatusFound, "/y")
		// Without a way back the form is what was asked for: to be somebody else.
		b.get("/_gate/login").want(t, http.StatusOK, "")
		b.login("bob", bobsPassword).want(t, http.StatusSeeOther, "/")
		if who := b.who(); who != "bob" {
			t.Errorf("signed in as %q", who)
		}
	}
}

// The identity is the stored spelling, not what was typed.
//
// Django 99.
func TestLoginGivesTheStoredSpelling(t *testing.T) {
	b := newGate(t).browser(t)
	if b.signIn("ａlice", alicesPassword); b.who() != "alice" {
		t.Errorf("signed in as %q", b.who())
	}
}

func TestCookiesOfALogin(t *testing.T) {
	for _, g := range []*gate{newGate(t), newGate(t, withTLS), newGate(t, withTLS, func(g *gate) { g.same = http.SameSiteNoneMode })} {
		b := g.browser(t)
		first := b.get("/_gate/login").Cookies()
		after := b.login("alice", alicesPassword).Cookies()
		if len(first) != 1 || len(after) != 3 {
			t.Fatalf("%d cookies before, %d at login; want the CSRF cookie alone, then session, CSRF and device", len(first), len(after))
		}
		known := strings.Join(g.portal.CookieNames(), " ")
		for _, c := range append(first, after...) {
			if !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.Secure != g.tls || strings.HasPrefix(c.Name, "__Host-") != g.tls {
				t.Errorf("cookie %s", c)
			}
			if !strings.Contains(known, c.Name) {
				t.Errorf("CookieNames does not know %s", c.Name)
			}
			if len(c.String()) > 4096 {
				t.Errorf("%s is too long", c.Name)
			}
			if strings.HasSuffix(c.Name, "_csrf") && (c.MaxAge != 0 || c.SameSite != http.SameSiteLaxMode) {
				t.Errorf("cookie %s", c)
			}
		}
		if first[0].Value == after[1].Value {
			t.Error("the token stays at login")
		}
	}
}

// Django 96, 98.
func TestLoginRefuses(t *testing.T) {
	g := newGate(t)
	for _, c := range []struct{ name, user, password string }{
		{"wrong password", "alice", "wrong"},
		{"unknown name", "nobody", alicesPassword},
		{"disabled", "carol", alicesPassword},
		{"empty password", "alice", ""},
		{"no name", "", alicesPassword},
		{"long password", "alice", strings.Repeat("a", 1025)},
		{"other case", "Alice", alicesPassword},
		{"space in the name", "ali ce", alicesPassword},
		{"password with a space", "alice", alicesPassword + " "},
		{"long name", strings.Repeat("a", 2000), alicesPassword},
		{"template", "{{.CSRFToken}}", alicesPassword},
		{"LDAP filter", "*)(uid=*", alicesPassword},
		{"NUL", "alice\x00", alicesPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := g.browser(t)
			a := b.login(c.user, c.password, "next", "/x").want(t, http.StatusUnauthorized, "")
			if !strings.Contains(a.body, "The name or the password is not right.") || !strings.Contains(a.body, `value="/x"`) {
				t.Errorf("the form does not say what is wrong, or forgot the way back:\n%s", a.body)
			}
			if b.who() != "" || b.cookies()["gatehouse"] != "" {
				t.Error("signed in")
			}
		})
	}
}

// Whoever collects names must learn nothing from status, headers, text or
// length.
//
// Django 96.
func TestEnumerationByAnswerLearnsNothing(t *testing.T) {
	g := newGate(t)
	look := func(user, password string) string {
		a := g.browser(t).login(user, password)
		body := tokenIn.ReplaceAllString(a.body, "")
		a.Header.Del("X-Request-Id")
		a.Header.Del("Date")
		a.Header.Del("Set-Cookie")
		return fmt.Sprint(a.StatusCode, a.ContentLength, a.Header, body)
	}
	want := look("alice", "wrong")
	for _, c := range [][2]string{
		{"nobody", "wrong"},
		{"carol", "wrong"},
		{"carol", alicesPassword},
		{"a name that is much longer than the others", "wrong"},
		{"bob", "wrong"},
		{"alice", ""},
		{"\x00", "wrong"},
	} {
		if got := look(c[0], c[1]); got != want {
			t.Errorf("%q differs from a wrong password:\n%s\n%s", c[0], got, want)
		}
	}
}

// Every refusal that got as far as a password does the same work.
//
// Django 97, 148, 149.
func TestEnumerationByWorkLearnsNothing(t *testing.T) {
	g := newGate(t)
	var mu sync.Mutex
	var work float64
	g.work(func(cost float64) { mu.Lock(); work += cost; mu.Unlock() })
	look := func(user string) float64 {
		work = 0
		g.browser(t).login(user, "a wrong password")
		return work
	}
	want := look("alice")
	for _, user := range []string{"bob", "carol", "nobody", "alice ", "\x00"} {
		if got := look(user); want == 0 || got != want {
			t.Errorf("%q: work %v, want %v", user, got, want)
		}
	}
}

// Django 100.
func TestLoginCSRF(t *testing.T) {
	g := newGate(t)
	login := func(b *browser, token string) answer {
		return b.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword)
	}
	t.Run("no token", func(t *testing.T) {
		b := g.browser(t)
		login(b, "").want(t, http.StatusForbidden, "")
		b.get("/_gate/login")
		login(b, "").want(t, http.StatusForbidden, "")
		if b.who() != "" {
			t.Error("signed in")
		}
	})
	t.Run("token of another browser", func(t *testing.T) {
		attacker, b := g.browser(t), g.browser(t)
		token := attacker.token("/_gate/login")
		login(b, token).want(t, http.StatusForbidden, "")
		b.get("/_gate/login")
		login(b, token).want(t, http.StatusForbidden, "")
	})
	t.Run("every changed token", func(t *testing.T) {
		b := g.browser(t)
		token := b.token("/_gate/login")
		for i := range token {
			changed := token[:i] + string('A'+(token[i]+1-'A')%26) + token[i+1:]
			if changed != token {
				login(b, changed).want(t, http.StatusForbidden, "")
			}
		}
		login(b, token[:len(token)-1]).want(t, http.StatusForbidden, "")
		login(b, token+"A").want(t, http.StatusForbidden, "")
		login(b, token).want(t, http.StatusSeeOther, "/")
	})
	t.Run("planted cookie", func(t *testing.T) {
		b := g.browser(t)
		b.setCookie("gatehouse_csrf", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		token := b.token("/_gate/login")
		login(b, token).want(t, http.StatusSeeOther, "/")
	})
	for _, h := range [][2]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.test"},
		{"Origin", "null"},
		{"Referer", "https://evil.test/page"},
		{"Origin", "http://127.0.0.1.evil.test"},
	} {
		t.Run(h[0]+" "+h[1], func(t *testing.T) {
			b := g.browser(t)
			token := b.token("/_gate/login")
			r := b.request(http.MethodPost, "/_gate/login", strings.NewReader("csrf_token="+token+"&username=alice&password=correct+horse+battery+staple"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(h[0], h[1])
			b.do(r).want(t, http.StatusForbidden, "")
			if b.who() != "" {
				t.Error("signed in")
			}
		})
	}
	t.Run("right origin", func(t *testing.T) {
		b := g.browser(t)
		token := b.token("/_gate/login")
		r := b.request(http.MethodPost, "/_gate/login", strings.NewReader("csrf_token="+token+"&username=alice&password=correct+horse+battery+staple"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
		r.Header.Set("Origin", g.URL)
		r.Header.Set("Referer", "https://evil.test/")
		b.do(r).want(t, http.StatusSeeOther, "/")
	})
}

func TestLoginInManyTabs(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	one, two, three := b.token("/_gate/login"), b.token("/_gate/login"), b.token("/_gate/login")
	if one == two {
		t.Error("tokens are not masked anew")
	}
	post := func(token, next string) answer {
		return b.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword, "next", next)
	}
	post(one, "/one").want(t, http.StatusSeeOther, "/one")
	session := b.cookies()["gatehouse"]
	// The second tab is answered by a plain redirect, whatever it typed.
	a := post(two, "/two").want(t, http.StatusSeeOther, "/two")
	if len(a.Cookies()) != 0 || b.cookies()["gatehouse"] != session {
		t.Error("the second tab signed in once more")
	}
	b.post("/_gate/login", "csrf_token", three, "username", "bob", "password", "wrong", "next", "//evil.test").want(t, http.StatusSeeOther, "/")
	// But not when it comes from elsewhere, or is not ours.
	b.post("/_gate/login", "csrf_token", "x").want(t, http.StatusForbidden, "")
	b.site = "cross-site"
	post(three, "/three").want(t, http.StatusForbidden, "")
	b.site = "same-origin"
	// And after a logout it is worth nothing.
	b.post("/_gate/logout", "csrf_token", b.token("/_gate/logout")).want(t, http.StatusSeeOther, "/_gate/login")
	post(three, "/three").want(t, http.StatusForbidden, "")
	if b.who() != "" {
		t.Error("a token from before the login was good after it")
	}
	if n := len(b.cookies()); n > 3 {
		t.Errorf("%d cookies are left; want CSRF, device and notice alone", n)
	}
}

// Django 91.
func TestSessionFixation(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	b.setCookie("gatehouse", "attackerchosen")
	b.login("alice", "wrong").want(t, http.StatusUnauthorized, "")
	b.signIn("alice", alicesPassword)
	if b.cookies()["gatehouse"] == "attackerchosen" {
		t.Fatal("the chosen id was adopted")
	}
	// A session that somebody has is not the session of who signs in with it.
	planted := g.browser(t).signIn("bob", bobsPassword)
	old := planted.cookies()["gatehouse"]
	victim := g.browser(t)
	victim.setCookie("gatehouse", old)
	victim.post("/_gate/login", "csrf_token", victim.token("/_gate/"), "username", "alice", "password", alicesPassword).want(t, http.StatusSeeOther, "/")
	if victim.who() != "alice" || planted.who() != "" {
		t.Errorf("victim is %q, attacker is %q", victim.who(), planted.who())
	}
}

// Two logins at once whose names and passwords run together must not meet
// (CVE-2026-71326).
func TestParallelLoginsDoNotMix(t *testing.T) {
	g := newGate(t, func(g *gate) {
		g.queue = limit.NewSemaphore(500, 64*500, 5*time.Second)
		g.rates.PerAccount.Count = 100 // a try counts until it is known to be right
	})
	for name, password := range map[string]string{"a": "bc", "ab": "c"} {
		hash, err := g.hasher.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.database.Add(t.Context(), account.Account{Name: name, PasswordHash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			name, password := "a", "bc"
			if i%2 == 1 {
				name, password = "ab", "c"
			}
			b := g.browser(t)
			if a := b.login(name, password); a.StatusCode != http.StatusSeeOther {
				t.Errorf("%s: %s", name, a.Status)
			}
			if who := b.who(); who != name {
				t.Errorf("%s is %q", name, who)
			}
		})
	}
	wg.Wait()
}

// Django 107.
func TestThrottle(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 3, Per: time.Minute} })
	for _, name := range []string{"alice", "nobody"} {
		b := g.browser(t)
		for range 3 {
			b.login(name, "wrong").want(t, http.StatusUnauthorized, "")
		}
		a := b.login(name, alicesPassword).want(t, http.StatusTooManyRequests, "")
		if s := a.Header.Get("Retry-After"); s != "20" {
			t.Errorf("%s: Retry-After %q, want 20", name, s)
		}
		if !strings.Contains(a.body, "too many wrong tries") || !strings.Contains(a.body, "<form") {
			t.Errorf("%s: no form that says why:\n%s", name, a.body)
		}
	}
	// A name spelled otherwise is the same name.
	g.browser(t).login("ａlice", "wrong").want(t, http.StatusTooManyRequests, "")
	// Another network is free to go, also one that shares the first 64 bits with nobody.
	other := g.browser(t)
	other.addr = "2001:db8::1"
	other.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
	// Limits are replaced at a reload.
	g.throttle.Limits(throttle.Config{})
	g.browser(t).login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
}

func TestRightPasswordsAreNotCounted(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 2, Per: time.Hour} })
	for range 10 {
		g.browser(t).signIn("alice", alicesPassword)
	}
}

func TestThrottleByNetwork(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerNetwork = value.Rate{Count: 5, Per: time.Hour} })
	b := g.browser(t)
	for i := range 5 {
		b.addr = fmt.Sprintf("2001:db8:0:1::%x", i+1) // one /64
		b.login(fmt.Sprintf("user%d", i), "wrong").want(t, http.StatusUnauthorized, "")
	}
	b.login("alice", alicesPassword).want(t, http.StatusTooManyRequests, "")
	b.addr = "2001:db8:0:2::1"
	b.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
}

// A client's own X-Forwarded-For must not give it a bucket of its own.
func TestSpoofedAddressesShareABucket(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 3, Per: time.Hour} })
	b := g.browser(t)
	for i := range 3 {
		b.addr = fmt.Sprintf("198.51.100.%d, 192.0.2.1", i)
		b.login("alice", "wrong").want(t, http.StatusUnauthorized, "")
	}
	b.addr = "198.51.100.77, 192.0.2.1"
	b.login("alice", "wrong").want(t, http.StatusTooManyRequests, "")
}

func TestFloodOfNamesLocksNobodyOut(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(g *gate) { g.rates.PerNetwork = value.Rate{Count: 100, Per: 15 * time.Minute} })
	b := g.browser(t)
	token := b.token("/_gate/login")
	var limited int
	for i := range 10_000 {
		if b.post("/_gate/login", "csrf_token", token, "username", fmt.Sprintf("user%d", i), "password", "wrong").StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 9_800 {
		t.Errorf("%d of 10,000 were throttled", limited)
	}
	clean := g.browser(t)
	clean.addr = "203.0.113.7"
	clean.login("alice", alicesPassword).want(t, http.StatusSeeOther, "/")
}

// Guesses that come together are counted together.
func TestParallelGuessesAreBounded(t *testing.T) {
	g := newGate(t, func(g *gate) {
		g.queue = limit.NewSemaphore(100, 64*100, 5*time.Second)
		g.rates.PerAccount = value.Rate{Count: 5, Per: time.Hour}
	})
	var mu sync.Mutex
	codes := map[int]int{}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			code := g.browser(t).login("alice", "wrong").StatusCode
			mu.Lock()
			codes[code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if codes[401] != 5 || codes[429] != 45 {
		t.Errorf("%v; want 5 tries and 45 refused", codes)
	}
}

func TestBusyHasher(t *testing.T) {
	g := newGate(t, func(g *gate) {
		g.queue = limit.NewSemaphore(1, 0, 5*time.Second)
		g.rates.PerAccount = value.Rate{Count: 1, Per: time.Hour}
	})
	b := g.browser(t)
	token := b.token("/_gate/login")
	if err := g.queue.Acquire(t.Context(), limit.Claim{}); err != nil {
		t.Fatal(err)
	}
	a := b.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword).want(t, http.StatusTooManyRequests, "")
	if a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "<form") {
		t.Errorf("no form with Retry-After: %v", a.Header)
	}
	g.queue.Release()
	b.signIn("alice", alicesPassword) // the try that was not made does not count
}

// Django 127, 146, 147.
func TestUpgradeAtLogin(t *testing.T) {
	g := newGate(t)
	weak, err := bcrypt.GenerateFromPassword([]byte(alicesPassword), 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.database.Add(t.Context(), account.Account{Name: "dave", PasswordHash: secret.New(string(weak))}); err != nil {
		t.Fatal(err)
	}
	g.browser(t).login("dave", "wrong").want(t, http.StatusUnauthorized, "")
	if a, err := g.database.Account(t.Context(), "dave"); err != nil || a.PasswordHash.Reveal() != string(weak) {
		t.Fatalf("upgraded by a wrong password: %.20s, %v", a.PasswordHash.Reveal(), err)
	}
	one := g.browser(t).signIn("dave", alicesPassword)
	a, err := g.database.Account(t.Context(), "dave")
	if err != nil || !strings.HasPrefix(a.PasswordHash.Reveal(), "$argon2id$") {
		t.Fatalf("not upgraded: %.20s, %v", a.PasswordHash.Reveal(), err)
	}
	two := g.browser(t).signIn("dave", alicesPassword)
	if one.who() != "dave" || two.who() != "dave" {
		t.Error("the upgrade ended a session")
	}
}

func TestRemember(t *testing.T) {
	plain := newGate(t)
	if strings.Contains(plain.browser(t).get("/_gate/login").body, `name="remember"`) {
		t.Error("offered, though it is not configured")
	}
	g := newGate(t, func(g *gate) { g.remember = 30 * 24 * time.Hour })
	b := g.browser(t)
	if !strings.Contains(b.get("/_gate/login").body, "Keep me signed in for 30 days") {
		t.Error("not offered")
	}
	left := func(b *browser) bool {
		return strings.Contains(b.get("/_gate/session").body, `"idle_remaining":null,"remaining":2591`)
	}
	b.login("alice", alicesPassword, "remember", "1")
	if !left(b) {
		t.Errorf("not kept: %s", b.get("/_gate/session").body)
	}
	if left(g.browser(t).signIn("alice", alicesPassword)) {
		t.Error("kept, though nobody asked for it")
	}
	p := plain.browser(t)
	p.login("alice", alicesPassword, "remember", "1")
	if left(p) {
		t.Error("kept, though it is not offered")
	}
}

// Three outcomes: what could not be told is a 503, never a no.
//
// Django 89.
func TestCouldNotTell(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	fresh := g.browser(t)
	token := fresh.token("/_gate/login")
	g.down.Store(true)
	for _, path := range []string{"/app", "/_gate/", "/_gate/session", "/_gate/login", "/_gate/logout"} {
		if a := b.get(path); a.StatusCode != http.StatusServiceUnavailable || len(a.Cookies()) > 0 {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
	for range 20 { // and the tries do not count
		a := fresh.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword).want(t, http.StatusServiceUnavailable, "")
		if strings.Contains(a.body, "down") {
			t.Error("the page tells of the inside")
		}
	}
	g.down.Store(false)
	if b.who() != "alice" {
		t.Error("a hiccup ended the session")
	}
	fresh.signIn("alice", alicesPassword)
}

// What visitors type must not forge lines, and passwords and cookies must
// not be in any of them.
//
// Django 103.
func TestLogInjection(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	for _, name := range []string{"alice\r\n{\"msg\":\"login.success\"}", "\x1b[2Jalice", strings.Repeat("a", 3000), "\xff\xfe"} {
		b.login(name, "the-wrong-password")
	}
	b.signIn("alice", alicesPassword)
	b.get("/_gate/login?next=/secret-place")
	text := g.log.String()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, `{"time"`) || len(line) > 2000 {
			t.Errorf("line %q", line)
		}
	}
	secrets := []string{"the-wrong-password", alicesPassword, "secret-place", "\x1b"}
	for _, v := range b.cookies() {
		secrets = append(secrets, v)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log holds %q", s)
		}
	}
	for _, event := range []string{`"msg":"login.failure"`, `"msg":"login.success"`, `"log":"audit"`, `"client":"192.0.2.1"`, `"user":"alice"`} {
		if !strings.Contains(text, event) {
			t.Errorf("the log has no %s", event)
		}
	}
}

func TestLoginMetrics(t *testing.T) {
	g := newGate(t, func(g *gate) { g.rates.PerAccount = value.Rate{Count: 1, Per: time.Hour} })
	b := g.browser(t)
	b.login("nobody", "wrong")
	b.login("nobody", "wrong")
	b.signIn("alice", alicesPassword)
	w := httptest.NewRecorder()
	g.metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	for _, line := range []string{
		`gatehouse_logins_total{result="success"} 1`, `gatehouse_logins_total{result="failure"} 1`, `gatehouse_logins_total{result="throttled"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no %s", line)
		}
	}
}
