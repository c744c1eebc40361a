package proxy

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

var placeholder = regexp.MustCompile(`\{\{(R|X|PAUSE):([^:}]*):?([^}]*)\}\}`)

// requestID is the line of a request whose value is random, and may hold any
// short word.
var requestID = regexp.MustCompile(`(?im)^x-request-id: [A-Z2-7]{20}\r$`)

// script turns a raw file into what is sent, with pauses in between.
func script(text string) []string {
	text = strings.NewReplacer("{{HOST}}", host, "{{COOKIE}}", ourCookie+"=alice", "{{COOKIENAME}}", ourCookie, "{{COOKIEVALUE}}", "alice").Replace(text)
	text = placeholder.ReplaceAllStringFunc(text, func(m string) string {
		switch p := placeholder.FindStringSubmatch(m); p[1] {
		case "R":
			n, _ := strconv.Atoi(p[2])
			return strings.Repeat(p[3], n)
		case "X":
			b, _ := hex.DecodeString(p[2])
			return string(b)
		default:
			return "\x00PAUSE\x00" // no file holds this
		}
	})
	return strings.Split(text, "\x00PAUSE\x00")
}

// quiet is how long the other side is silent when it has said all.
const quiet = 500 * time.Millisecond

// talk sends the parts and reads until the other side closes, or is silent
// for a while. As long as due reports that there must be an answer, it waits
// longer for the first byte of it.
func (h *house) talk(tb testing.TB, parts []string, due func() bool) string {
	tb.Helper()
	c := h.dial(tb)
	for i, p := range parts {
		if i > 0 {
			<-time.After(200 * time.Millisecond)
		}
		if _, err := io.WriteString(c, p); err != nil {
			break // refused while it was being sent
		}
	}
	var b bytes.Buffer
	buf := make([]byte, 4096)
	for begun := time.Now(); ; {
		_ = c.SetReadDeadline(time.Now().Add(quiet))
		n, err := c.Read(buf)
		b.Write(buf[:n])
		awaited := errors.Is(err, os.ErrDeadlineExceeded) && b.Len() == 0 && due() && time.Since(begun) < e2e.Patience
		if err != nil && !awaited {
			return b.String()
		}
	}
}

// caseVerdicts says which words of the case files fit.
func caseVerdicts(answer string, seen []string) []string {
	code := ""
	if f := strings.Fields(answer); len(f) > 1 {
		code = f[1]
	}
	refused := code == "" || code[0] == '4' || code[0] == '5'
	all := strings.Join(seen, "\n")
	var v []string
	if len(seen) == 0 {
		if refused {
			v = append(v, "reject")
		}
		if code == "302" || code == "303" || code == "401" || code == "403" {
			v = append(v, "gate")
		}
		return v
	}
	v = append(v, "pass-clean")
	if refused {
		v = append(v, "up-aborted")
	}
	clean := true
	for _, request := range seen {
		for _, l := range lines(request) {
			name, _, _ := strings.Cut(l, ":")
			clean = clean && newPolicyTable(nil).of(name) != identity
		}
	}
	if clean && !strings.Contains(all, "admin\r\n") {
		v = append(v, "anon-clean")
	}
	return v
}

// The raw requests of the case files that concern routing and forwarding. An
// answer of the upstream that switches protocols is asked for by g*.
func TestRawCases(t *testing.T) {
	for _, row := range readTSV(t, "raw/INDEX.tsv") {
		file, want, codes, mustNot, must, most := row[0], row[3], row[4], row[5], row[6], row[7]
		if !strings.ContainsAny(file[:1], "abcdgi") {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(cases(t), "raw", file)) //nolint:gosec // G304: a test file
			if err != nil {
				t.Fatal(err)
			}
			answer := okAnswer
			if file[0] == 'g' && strings.Contains(want, "pass-clean") && codes == "101" {
				answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
			}
			up := record(t, answer)
			h := open(t, setting{}, fixture(up.url()))
			// A request that may not be refused, or was forwarded, has an answer.
			due := func() bool { return !strings.Contains(want, "reject") || len(up.seen()) > 0 }
			got := h.talk(t, script(string(text)), due)
			seen := up.seen()
			fits := caseVerdicts(got, seen)
			if !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return slices.Contains(fits, w) }) {
				t.Errorf("%s: %v, want %s; answer %.200q, upstream saw %.400q", row[1], fits, want, got, seen)
			}
			if f := strings.Fields(got); codes != "" && len(f) > 1 && !regexp.MustCompile("^(?:"+codes+")$").MatchString(f[1]) {
				t.Errorf("status %s, want %s", f[1], codes)
			}
			all := requestID.ReplaceAllString(strings.Join(seen, "\n"), "")
			if mustNot != "" && regexp.MustCompile(mustNot).MatchString(all) {
				t.Errorf("upstream must not see %s: %.600q", mustNot, all)
			}
			if must != "" && len(seen) > 0 && !regexp.MustCompile(must).MatchString(all) {
				t.Errorf("upstream must see %s: %.600q", must, all)
			}
			if n, err := strconv.Atoi(most); err == nil && len(seen) > n {
				t.Errorf("upstream saw %d requests, want %d at most", len(seen), n)
			}
			if file[0] == 'd' && strings.Contains(got, "evil.test") {
				t.Errorf("evil.test is in the answer: %.400q", got)
			}
		})
	}
}

// The answers of bad upstreams, as a visitor sees them.
func TestUpstreamCases(t *testing.T) {
	expect := map[string]func(t *testing.T, res *reply, body string, err error){
		"u03": without("Clear-Site-Data"),
		"u04": func(t *testing.T, res *reply, body string, err error) {
			t.Helper()
			if res.StatusCode != http.StatusBadGateway && (err != nil || len(res.Header["Content-Length"])+len(res.TransferEncoding) > 1 || body != "ok" && body != "2\r\nok") {
				t.Errorf("%v %v %q %v, want 502 or one framing", res.StatusCode, res.Header, body, err)
			}
		},
		"u05": bad, "u06": bad, "u13": bad, "u14": bad, "u16": bad, "u17": code(200, 502), "u29": bad,
		"u09": func(t *testing.T, _ *reply, _ string, err error) {
			t.Helper()
			if err == nil {
				t.Error("half an answer looks whole")
			}
		},
		"u21": func(t *testing.T, res *reply, _ string, _ error) {
			t.Helper()
			if res.Header.Get("X-Request-Id") == "" {
				t.Error("our own header is gone")
			}
		},
		"u22": without("X-Forwarded-User"),
		"u23": func(t *testing.T, res *reply, body string, err error) {
			t.Helper()
			for _, h := range []http.Header{res.Header, res.Trailer} {
				if strings.Contains(fmt.Sprint(h), "attacker") || h.Get("Content-Length") == "50" {
					t.Errorf("a trailer passed: %v", h)
				}
			}
			if res.StatusCode != http.StatusBadGateway && (err != nil || body != "ok") { // 502: for the trailer that frames
				t.Errorf("body %q, %v", body, err)
			}
		},
		"u28": func(t *testing.T, res *reply, _ string, _ error) {
			t.Helper()
			if res.StatusCode != http.StatusBadGateway && res.Header.Get("X-A") != "a b" {
				t.Errorf("%d %q, want the line joined, or 502", res.StatusCode, res.Header.Get("X-A"))
			}
		},
		"u31": func(t *testing.T, res *reply, _ string, _ error) {
			t.Helper()
			if len(res.Header["Location"]) != 1 || len(res.Header["Set-Cookie"]) > 0 {
				t.Errorf("header %v", res.Header)
			}
		},
		"u37": code(401), "u38": code(200), "u39": without("Service-Worker-Allowed"),
	}
	for _, row := range readTSV(t, "upstream-responses/INDEX.tsv") {
		name := filepath.Base(row[0])
		check := expect[name[:3]]
		if check == nil {
			t.Logf("%s: %s, want %s: no check of its own", name, row[1], row[2])
			check = func(*testing.T, *reply, string, error) {}
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(cases(t), "upstream-responses", name)) //nolint:gosec // G304: a test file
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte("{{COOKIENAME}}"), []byte(ourCookie))
			engines(t, func(t *testing.T, s setting) {
				t.Helper()
				up := record(t, string(text))
				h := open(t, s, fixture(up.url()))
				request := "GET /private/x HTTP/1.1\r\nHost: " + host + "\r\n" + aliceLine
				if name[:3] == "u16" {
					request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				}
				res, body, err := h.exchange(t, request+"\r\n")
				if res == nil {
					t.Fatalf("no answer: %v", err)
				}
				check(t, res, body, err)
				if c := fmt.Sprint(res.Header["Set-Cookie"], res.Trailer["Set-Cookie"]); strings.Contains(c, ourCookie) {
					t.Errorf("the upstream set our cookie: %s", c)
				}
				if strings.Contains(body, up.Addr().String()) {
					t.Errorf("the upstream's address is in the answer: %s", body)
				}
			})
		})
	}
}

// A reply is an answer whose body was read.
type reply struct {
	StatusCode       int
	Header, Trailer  http.Header
	TransferEncoding []string
}

// exchange sends a request and gives the final answer, with the error of
// reading its body.
func (h *house) exchange(tb testing.TB, request string) (*reply, string, error) {
	tb.Helper()
	c := h.dial(tb)
	if _, err := io.WriteString(c, request); err != nil {
		tb.Fatal(err)
	}
	return finalAnswer(c, methodOf(request))
}

func finalAnswer(c net.Conn, method string) (*reply, string, error) {
	br := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return nil, "", err
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		return &reply{res.StatusCode, res.Header, res.Trailer, res.TransferEncoding}, string(body), err
	}
}

func code(codes ...int) func(*testing.T, *reply, string, error) {
	return func(t *testing.T, res *reply, body string, _ error) {
		t.Helper()
		if !slices.Contains(codes, res.StatusCode) {
			t.Errorf("status %d, want %v: %q", res.StatusCode, codes, body)
		}
	}
}

func bad(t *testing.T, res *reply, body string, err error) {
	t.Helper()
	code(502)(t, res, body, err)
}

func without(name string) func(*testing.T, *reply, string, error) {
	return func(t *testing.T, res *reply, body string, err error) {
		t.Helper()
		if len(res.Header[name]) > 0 || res.StatusCode != http.StatusOK || err != nil {
			t.Errorf("%d %v %q %v, want 200 without %s", res.StatusCode, res.Header, body, err, name)
		}
	}
}
