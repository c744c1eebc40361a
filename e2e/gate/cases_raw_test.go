//go:build e2e

package gate_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// requestID is the line of a request whose value is random, and may hold any
// short word.
var requestID = regexp.MustCompile(`(?im)^x-request-id: [A-Z2-7]{20}\r$`)

// exempt are rows that a Gate without special settings meets in another way.
var exempt = map[string]struct{ accept, why string }{
	"h09-keepalive-idle.http": {"login-page", "the idle limit is 120 s, and no configuration shortens it"},
}

// TestRawCases sends the bytes of each file on a connection of its own.
func TestRawCases(t *testing.T) {
	t.Parallel()
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, m)
			for _, r := range table(t, filepath.Join("raw", "INDEX.tsv")) {
				text, err := os.ReadFile(filepath.Join(e2e.CasesDir(), "raw", r["file"]))
				if err != nil {
					t.Fatal(err)
				}
				if slow := pauses(string(text)); slow > time.Second {
					t.Run(r["file"], func(t *testing.T) {
						t.Parallel()
						newFixture(t, m).raw(t, r, string(text))
					})
					continue
				}
				t.Run(r["file"], func(t *testing.T) { f.raw(t, r, string(text)) })
			}
		})
	}
}

func pauses(text string) (sum time.Duration) {
	for _, m := range pauseRE.FindAllStringSubmatch(text, -1) {
		ms, _ := strconv.Atoi(m[1])
		sum += time.Duration(ms) * time.Millisecond
	}
	return sum
}

// raw runs one row.
func (f *fixture) raw(t *testing.T, r row, text string) {
	n := &names{f: f, t: t}
	text = n.fill(text)
	if r["session"] == "alice" {
		n.session()
	}
	f.app.Reset()
	accept := r["accept"]
	if e, ok := exempt[r["file"]]; ok {
		accept = e.accept
	}
	method, _, _ := strings.Cut(text, " ")
	o := f.exchange(t, pieces(text), method, strings.Contains(accept, "closed-by-timeout"))
	o.answers = readAnswers(o.raw, method)
	o.login = f.opens(t)
	o.alive = func() bool { return n.session().SignedInAs() == "alice" }

	if err := errors.Join(f.check(accept, o), f.conditions(r, o)); err != nil {
		t.Errorf("%s (%s)\n%v\nanswered:\n%.2000s\nthe application saw:\n%.2000s", r["tries"], r["source"], err, o.raw, f.app.Bytes())
	}
}

// conditions are the other columns of a row, and what holds for a whole
// group of files.
func (f *fixture) conditions(r row, o outcome) error {
	var bad []error
	if want := r["status_regex"]; want != "" && !regexp.MustCompile("^(?:"+want+")$").MatchString(o.status()) {
		bad = append(bad, fmt.Errorf("status %q, want %s", o.status(), want))
	}
	seen := f.app.Requests()
	if most, err := strconv.Atoi(r["max_upstream_requests"]); err == nil && len(seen) > most {
		bad = append(bad, fmt.Errorf("%d requests reached the application, want %d at most", len(seen), most))
	}
	matches := func(pattern string) bool {
		re := regexp.MustCompile(pattern)
		for _, q := range seen {
			if re.MatchString(requestID.ReplaceAllString(q.Head, "") + q.Body) {
				return true
			}
		}
		return false
	}
	if not := r["upstream_must_not_match"]; not != "" && matches(not) {
		bad = append(bad, fmt.Errorf("the application saw %s", not))
	}
	if must := r["upstream_must_match"]; must != "" && len(seen) > 0 && !matches(must) {
		bad = append(bad, fmt.Errorf("the application did not see %s", must))
	}
	switch r["file"][0] {
	case 'd':
		if strings.Contains(o.raw, "evil.test") {
			bad = append(bad, errors.New("evil.test is in the answer"))
		}
	case 'j':
		bad = append(bad, answerHeaders(r["accept"], o))
	}
	return errors.Join(bad...)
}

// answerHeaders is what the files of group j look at.
func answerHeaders(accept string, o outcome) error {
	if len(o.answers) == 0 {
		return errors.New("no answer")
	}
	h := o.answers[0].Header
	var bad []error
	want := func(ok bool, name string) {
		if !ok {
			bad = append(bad, fmt.Errorf("%s: %q", name, h[name]))
		}
	}
	stored := h.Get("Cache-Control")
	switch accept {
	case "gate":
		want(strings.Contains(stored, "no-store"), "Cache-Control")
		want(o.answers[0].Status >= 400 || strings.HasPrefix(h.Get("Location"), "/_gate/"), "Location")
		want(len(h["Set-Cookie"]) == 0, "Set-Cookie")
	case "login-page":
		csp := h.Get("Content-Security-Policy")
		want(strings.Contains(stored, "no-store"), "Cache-Control")
		want(strings.Contains(csp, "frame-ancestors 'none'") && strings.Contains(csp, "form-action 'self'"), "Content-Security-Policy")
		want(h.Get("X-Content-Type-Options") == "nosniff", "X-Content-Type-Options")
		want(h.Get("Referrer-Policy") != "", "Referrer-Policy")
		want(!strings.ContainsAny(h.Get("Server"), "0123456789"), "Server")
	default:
		want(strings.Contains(stored, "private") || strings.Contains(stored, "no-store"), "Cache-Control")
	}
	return errors.Join(bad...)
}

// exchange sends the pieces and reads all that the gate has to say. When the
// first answer is there, or nothing comes for a while, the client ends its side
// of the connection: the gate answers what it has got until then, and closes.
// With patient the client leaves the closing to the gate, so that ended reports
// whether the gate does it by itself.
func (f *fixture) exchange(t *testing.T, all []piece, method string, patient bool) outcome {
	t.Helper()
	conn := f.gate.Dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i, p := range all {
			if _, err := io.WriteString(conn, p.text); err != nil {
				return // refused before all was sent
			}
			if nothingFollows := i+2 == len(all) && all[i+1].text == ""; patient || !nothingFollows {
				time.Sleep(p.pause) // as the case says
			}
		}
	}()
	const poll, quiet = 20 * time.Millisecond, 700 * time.Millisecond // quiet is longer than any answer takes to come
	closer := conn.(interface{ CloseWrite() error })
	var got strings.Builder
	buf := make([]byte, 32<<10)
	answered, halfClosed := false, false
	var begun, last time.Time // when all was sent, and when something happened
	for {
		_ = conn.SetReadDeadline(time.Now().Add(poll))
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return outcome{raw: got.String(), ended: !answered}
		}
		if begun.IsZero() {
			select {
			case <-sent:
				begun, last = time.Now(), time.Now()
			default:
				continue
			}
		}
		if n > 0 {
			last = time.Now()
		}
		switch {
		case !halfClosed && !patient && whole(readAnswers(got.String(), method)):
			answered, halfClosed = true, true
			_ = closer.CloseWrite()
		case time.Since(last) < quiet:
		case got.Len() > 0, time.Since(begun) > 5*time.Second:
			_ = conn.Close()
			return outcome{raw: got.String()}
		case !halfClosed:
			halfClosed, last = true, time.Now()
			_ = closer.CloseWrite() // the client has nothing more to say
		}
	}
}

// whole reports whether an answer has been read to its end.
func whole(answers []e2e.Answer) bool { return len(answers) > 0 && answers[0].Err == nil }
