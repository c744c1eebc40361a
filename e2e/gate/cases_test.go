//go:build e2e

package gate_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// The cases are data: one row for each way in that was found in some proxy,
// with the verdict that we want. A new hole gets a row before it gets a fix.
// A row is a line of a table, by column.
type row map[string]string

// table reads a file of lines and tabs; the first line names the columns.
func table(t *testing.T, name string) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(e2e.CasesDir(), name)) //nolint:gosec // the folder is the tester's choice
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var rows []row
	for _, line := range lines[1:] {
		r := row{}
		for i, value := range strings.Split(strings.TrimSuffix(line, "\r"), "\t") {
			if i < len(columns) {
				r[columns[i]] = value
			}
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", name)
	}
	return rows
}

// A fixture is the site that the cases speak of.
type fixture struct {
	mode e2e.Mode
	gate *e2e.Gate
	app  *e2e.Recorder
}

func newFixture(t *testing.T, m e2e.Mode) *fixture {
	t.Helper()
	app := e2e.Record(t)
	return &fixture{m, e2e.Start(t, m, "login: {throttle: {per_account: 100000/15m, per_network: 100000/15m}}\n"+e2e.Standard(app.URL)), app}
}

// names gives the text for a placeholder. A session is made when a case asks
// for one, and only then: a fresh one each time.
type names struct {
	f          *fixture
	t          *testing.T
	alice, bob *e2e.Browser
}

var placeholder = regexp.MustCompile(`\{\{(HOST|LOGIN|LOGOUT|COOKIENAME|COOKIEVALUE|BOBCOOKIE|SESSIONID|COOKIE(?::[A-Z]+)?)\}\}`)

// fill replaces the names in a case's text.
func (n *names) fill(text string) string {
	text = strings.ReplaceAll(text, "/_auth", "/_gate")
	text = strings.ReplaceAll(text, "/_AUTH", "/_GATE")
	if n.f.mode.TLS { // a browser's Origin follows the page's scheme
		text = strings.ReplaceAll(text, "Origin: http://{{HOST}}", "Origin: https://{{HOST}}")
	}
	return placeholder.ReplaceAllStringFunc(text, func(s string) string { return n.name(strings.Trim(s, "{}")) })
}

func (n *names) name(name string) string {
	switch name {
	case "HOST":
		return e2e.Host
	case "LOGIN":
		return "/_gate/login"
	case "LOGOUT":
		return "/_gate/logout"
	case "COOKIENAME":
		return n.f.mode.Cookie
	case "COOKIE":
		return n.session().CookieLine()
	case "COOKIEVALUE":
		return n.session().Cookie()
	case "BOBCOOKIE":
		if n.bob == nil {
			n.bob = n.f.gate.Browser(n.t)
			n.bob.Login("bob", e2e.Password)
		}
		return n.bob.CookieLine()
	case "SESSIONID":
		return unsigned(n.session().Cookie())
	default:
		_, change, _ := strings.Cut(name, ":")
		return changed(n.t, n.f.mode.Cookie, n.session().Cookie(), change)
	}
}

func (n *names) session() *e2e.Browser {
	if n.alice == nil {
		n.alice = n.f.gate.Browser(n.t)
		n.alice.Login("alice", e2e.Password)
	}
	return n.alice
}

// unsigned takes the id out of a cookie: the middle of date|value|mac, which
// is how securecookie lays it out.
func unsigned(cookie string) string {
	raw, err := base64.URLEncoding.DecodeString(cookie)
	if err != nil {
		return cookie[:len(cookie)/2]
	}
	part := strings.SplitN(string(raw), "|", 3)
	if len(part) < 3 {
		return cookie[:len(cookie)/2]
	}
	return part[1]
}

// changed is the valid cookie with one change.
func changed(t *testing.T, name, value, change string) string {
	t.Helper()
	switch change {
	case "FLIP":
		middle := len(value) / 2
		return name + "=" + value[:middle] + string(rune('A'+(value[middle]-'A'+1)%26)) + value[middle+1:]
	case "CUT":
		return name + "=" + value[:len(value)-1]
	case "UPNAME":
		return strings.ToUpper(name) + "=" + value
	case "QUOTE":
		return name + `="` + value + `"`
	case "CASE":
		return name + "=" + strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				return r - 'a' + 'A'
			}
			if 'A' <= r && r <= 'Z' {
				return r - 'A' + 'a'
			}
			return r
		}, value)
	case "PCT":
		return name + "=" + fmt.Sprintf("%%%02x", value[0]) + value[1:]
	}
	t.Fatalf("unknown change of a cookie %q", change)
	return ""
}

var (
	repeatRE = regexp.MustCompile(`(?s)\{\{R:(\d+):(.*?)\}\}`)
	byteRE   = regexp.MustCompile(`\{\{X:([0-9a-fA-F]{2})\}\}`)
	pauseRE  = regexp.MustCompile(`\{\{PAUSE:(\d+)\}\}`)
)

// A piece is what is sent at once, and how long to wait afterwards.
type piece struct {
	text  string
	pause time.Duration
}

// pieces replaces repeats and bytes, and cuts the text at its pauses.
func pieces(text string) []piece {
	text = repeatRE.ReplaceAllStringFunc(text, func(s string) string {
		m := repeatRE.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], n)
	})
	text = byteRE.ReplaceAllStringFunc(text, func(s string) string {
		b, _ := hex.DecodeString(byteRE.FindStringSubmatch(s)[1])
		return string(b)
	})
	var all []piece
	at := 0
	for _, m := range pauseRE.FindAllStringSubmatchIndex(text, -1) {
		ms, _ := strconv.Atoi(text[m[2]:m[3]])
		all = append(all, piece{text[at:m[0]], time.Duration(ms) * time.Millisecond})
		at = m[1]
	}
	return append(all, piece{text[at:], 0})
}

// An outcome is what was seen on both sides.
type outcome struct {
	raw     string       // all that came back
	answers []e2e.Answer // as far as they can be read, interim ones left out
	ended   bool         // the gate has closed the connection
	reached []e2e.Request
	alive   func() bool                    // alice is still signed in
	login   func(set []string) (by string) // the cookie that opens a session, of those set
}

func (o outcome) status() string {
	if len(o.answers) == 0 {
		return ""
	}
	return strconv.Itoa(o.answers[0].Status)
}

// readAnswers takes the raw text apart.
func readAnswers(raw, method string) []e2e.Answer {
	var all []e2e.Answer
	in := bufio.NewReader(strings.NewReader(raw))
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return all
		}
		var body strings.Builder
		_, err = bufio.NewReader(resp.Body).WriteTo(&body)
		_ = resp.Body.Close()
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			all = append(all, e2e.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body.String(), Err: err})
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return all
		}
	}
}

// judge says whether one of the verdicts, separated by |, holds; the error
// tells why none does.
func judge(verdicts string, o outcome) error {
	var why []string
	for verdict := range strings.SplitSeq(verdicts, "|") {
		err := judgeOne(strings.TrimSpace(verdict), o)
		if err == nil {
			return nil
		}
		why = append(why, fmt.Sprintf("not %s: %v", verdict, err))
	}
	return errors.New(strings.Join(why, "; "))
}

func judgeOne(verdict string, o outcome) error {
	code := 0
	if len(o.answers) > 0 {
		code = o.answers[0].Status
	}
	untouched := func() error {
		if len(o.reached) > 0 {
			return fmt.Errorf("%d requests reached the application", len(o.reached))
		}
		return nil
	}
	answered := func(ok bool) error {
		if !ok {
			return fmt.Errorf("answered %d", code)
		}
		return untouched()
	}
	switch verdict {
	case "reject":
		return answered(code >= 400 || code == 0 && o.ended)
	case "gate":
		toLogin := code/100 == 3 && strings.HasPrefix(o.answers[0].Location(), "/_gate/login")
		return answered(toLogin || code == 401 || code == 403)
	case "pass-clean", "pass":
		return clean(o.reached, true)
	case "anon-clean", "public":
		return clean(o.reached, false)
	case "up-aborted":
		for _, q := range o.reached {
			if q.Whole {
				return errors.New("the application saw a whole request")
			}
		}
		if code > 0 && code < 400 {
			return fmt.Errorf("answered %d", code)
		}
		return nil
	case "no-session":
		for _, a := range o.answers {
			if cookie := o.login(a.Header["Set-Cookie"]); cookie != "" {
				return fmt.Errorf("%s opens a session", cookie)
			}
		}
		return untouched()
	case "session-kept":
		if !o.alive() {
			return errors.New("the session has ended")
		}
		return nil
	case "login-page":
		return answered(code == 200 || code == 206 || code == 416)
	case "closed-by-timeout":
		if !o.ended {
			return errors.New("the connection is still open")
		}
		return untouched()
	case "local":
		return answered(code > 0)
	}
	if want, err := strconv.Atoi(verdict); err == nil {
		return answered(code == want)
	}
	return errors.New("unknown verdict")
}

// clean says whether something reached the application, each time with the
// identity of alice exactly once, or with none at all.
func clean(reached []e2e.Request, signedIn bool) error {
	if len(reached) == 0 {
		return errors.New("nothing reached the application")
	}
	for _, q := range reached {
		users, all := q.Lines("X-Forwarded-User"), q.Identity()
		switch {
		case !signedIn && len(all) > 0:
			return fmt.Errorf("the application saw %q", all)
		case signedIn && (len(users) != 1 || users[0] != "alice"):
			return fmt.Errorf("X-Forwarded-User %q", users)
		case signedIn && len(all) != 4: // user, e-mail, groups, display name
			return fmt.Errorf("the application saw %q", all)
		}
	}
	return nil
}

// check judges a case whose application may still be at work: what has to
// happen there happens soon.
func (f *fixture) check(verdicts string, o outcome) error {
	deadline := time.Now().Add(time.Second)
	for {
		o.reached = f.app.Requests()
		err := judge(verdicts, o)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// opens gives the session's cookie among those that an answer sets, if it
// opens a session.
func (f *fixture) opens(t *testing.T) func(set []string) string {
	return func(set []string) string {
		for _, line := range set {
			cookie, _, _ := strings.Cut(line, ";")
			if a := f.gate.Browser(t).Fetch("/_gate/session", "Cookie: "+cookie); strings.Contains(strings.ReplaceAll(a.Body, " ", ""), `"authenticated":true`) {
				return cookie
			}
		}
		return ""
	}
}
