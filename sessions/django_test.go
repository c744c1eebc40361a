package sessions

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestDjango runs session-api.tsv, what Django's own tests say of a session,
// against every store. GATEHOUSE_CASES names a folder with another file of the
// same form; session-api-more.tsv, which has what that file leaves out, runs in
// any case. Which behaviours the rows belong to stands in django-rows.tsv.
func TestDjango(t *testing.T) { testDjango(t, backends()) }

func testDjango(t *testing.T, stores []Backend) {
	t.Helper()
	dir := os.Getenv("GATEHOUSE_CASES")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "cases")
	}
	rows := append(readCases(t, filepath.Join(dir, "session-api.tsv")), readCases(t, filepath.Join("..", "testdata", "session-api-more.tsv"))...)
	for _, store := range stores {
		t.Run(store.Name, func(t *testing.T) {
			for _, row := range rows {
				if !row.runs(store.Stands) {
					continue
				}
				t.Run(row.id, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						outer, inner := store.Open(t)
						h := &djangoSteps{t: t, row: row, outer: outer, inner: inner, sessions: map[string]*Session{}, vars: map[string]string{}, mutated: map[string]bool{}}
						h.run()
					})
				})
			}
		})
	}
}

// leftOut says which rows have no meaning here, by the beginning of their id,
// and why.
var leftOut = map[string]string{
	"file-":            "there is no file store: bbolt is a file, too",
	"expired-file":     "the file store makes a new record of an expired one; a wart",
	"cookie-":          "there is no cookie store: the cookie holds only the id",
	"traversal-delete": "a key never becomes a path, so none is refused as one: it is hashed, and unknown",
}

// sensible rows of stores that are not here hold for each of ours.
var sensible = []string{"clearsessions-file", "traversal-key", "key-case"}

// onPurpose are the values that differ from Django's, by id and step.
var onPurpose = map[string]map[string]struct{ want, why string }{
	"secret-changed": {"key t": {"null", "whose session it is was authenticated with the secret, too"}},
	"lost-update":    {"items c": {`{"x": 1, "y": 2}`, "both writers count: a conflict is merged, key by key"}},
}

// A djangoRow is one line of the file.
type djangoRow struct {
	id              string
	backends        []string
	settings        string
	steps, expected []string
}

func (r *djangoRow) runs(backend string) bool {
	for prefix := range leftOut {
		if strings.HasPrefix(r.id, prefix) {
			return false
		}
	}
	return slices.Contains(r.backends, "*") || slices.Contains(r.backends, "server") ||
		slices.Contains(r.backends, backend) || slices.Contains(sensible, r.id)
}

func readCases(t *testing.T, file string) (rows []djangoRow) {
	t.Helper()
	data, err := os.ReadFile(file) //nolint:gosec // who runs the tests names the folder
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 || strings.TrimSpace(line) == "" {
			continue
		}
		if len(f) < 5 {
			t.Fatalf("line %d has %d columns", i+1, len(f))
		}
		row := djangoRow{id: f[0], settings: f[2], steps: strings.Split(f[3], " ; "), expected: strings.Split(f[4], " ; ")}
		for b := range strings.SplitSeq(f[1], ",") {
			row.backends = append(row.backends, strings.TrimSpace(b))
		}
		if len(row.steps) < len(row.expected) {
			t.Fatalf("line %d: %d steps, %d values", i+1, len(row.steps), len(row.expected))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatal("no cases")
	}
	return rows
}

// djangoSteps interprets one row.
type djangoSteps struct {
	t            *testing.T
	row          djangoRow
	outer, inner Store
	o            Options
	m            *Manager
	sessions     map[string]*Session
	vars         map[string]string // saved keys and encoded data
	mutated      map[string]bool   // sessions in which Django holds a changed copy
}

func (h *djangoSteps) run() {
	h.configure()
	h.secrets([]string{"first"})
	for i, step := range h.row.steps {
		want := "_"
		if i < len(h.row.expected) {
			want = h.row.expected[i]
		}
		got := h.step(step)
		if other, ok := onPurpose[h.row.id][step]; ok {
			want = other.want
		}
		if strings.HasPrefix(step, "keyshape ") {
			want = "43 base64url" // our own: 256 bits
		}
		if f := strings.Fields(step); len(f) > 1 && h.mutated[f[1]] && slices.Contains([]string{"get", "items", "values", "load"}, f[0]) {
			continue // Django shows the changed value until it is loaded anew; here, what was read is a copy
		}
		if want != "_" && !sameValue(got, want) {
			h.t.Errorf("step %d, %q: %s, want %s", i+1, step, got, want)
		}
	}
	h.m.Close()
}

var setting = regexp.MustCompile(`([A-Z_]+)=(\S+)`)

func (h *djangoSteps) configure() {
	h.o = Options{Store: h.outer, IdleTimeout: 1209600 * time.Second}
	for _, m := range setting.FindAllStringSubmatch(h.row.settings, -1) {
		switch name, value := m[1], m[2]; name {
		case "SESSION_COOKIE_AGE":
			n, err := strconv.Atoi(value)
			h.check(err)
			h.o.IdleTimeout = time.Duration(n) * time.Second
		case "SESSION_EXPIRE_AT_BROWSER_CLOSE":
			h.o.SessionCookie = strings.EqualFold(value, "true")
		case "SESSION_CACHE_ALIAS":
			h.o.Store = brokenStore{h.outer}
		default:
			h.t.Fatalf("the setting %s is not known", name)
		}
	}
}

func (h *djangoSteps) secrets(names []string) {
	h.o.Secrets = nil
	for _, name := range names {
		sum := sha256.Sum256([]byte(name))
		h.o.Secrets = append(h.o.Secrets, sum[:])
	}
	m, err := NewManager(h.o)
	h.check(err)
	if h.m != nil {
		h.m.Close()
	}
	h.m = m
}

func (h *djangoSteps) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", h.row.id, err)
	}
}

// step does one step and gives its value as text: JSON, or a word.
func (h *djangoSteps) step(step string) string {
	verb, rest, _ := strings.Cut(step, " ")
	arg, rest, _ := strings.Cut(rest, " ")
	switch verb {
	case "new":
		h.sessions[arg] = h.m.OpenByID("")
		return "ok"
	case "open":
		h.sessions[arg] = h.m.OpenByID(h.key(rest))
		return "ok"
	case "exists":
		return strconv.FormatBool(h.exists(h.key(arg)))
	case "count":
		n, err := h.outer.Count(context.Background())
		h.check(err)
		return strconv.Itoa(n)
	case "evict":
		if c, ok := h.outer.(*Cached); ok {
			c.evict(keyOf(h.key(arg)))
			return "ok"
		}
		return h.deleteFrom(h.outer, h.key(arg))
	case "dbdelete":
		return h.deleteFrom(h.inner, h.key(arg))
	case "clearexpired":
		_, err := h.m.DeleteExpired(context.Background())
		return word(err)
	case "clock":
		n, err := strconv.Atoi(arg)
		h.check(err)
		time.Sleep(time.Duration(n) * time.Second)
		return "ok"
	case "secret":
		h.secrets(append([]string{arg}, strings.Fields(rest)...))
		return "ok"
	case "tamper":
		b := []byte(h.vars[arg])
		b[len(b)/2] ^= 1
		h.vars[arg] = string(b)
		return "ok"
	}
	s := h.sessions[arg]
	if s == nil {
		h.t.Fatalf("%q: no session %q", step, arg)
	}
	if v, ok := h.record(s, verb, arg, rest); ok {
		return v
	}
	if v, ok := h.data(s, verb, rest); ok {
		return v
	}
	h.t.Fatalf("the step %q is not known", step)
	return ""
}

// record does the steps that are about the session as a whole.
func (h *djangoSteps) record(s *Session, verb, name, rest string) (string, bool) {
	ctx := context.Background()
	switch verb {
	case "key":
		return setOrNull(s.ID()), true
	case "samekey":
		return strconv.FormatBool(s.ID() == h.key(rest)), true
	case "savekey":
		h.vars[rest] = s.ID()
		return setOrNull(s.ID()), true
	case "keyshape":
		if validID(s.ID()) {
			return "43 base64url", true
		}
		return "none", true
	case "accessed":
		return strconv.FormatBool(s.Accessed()), true
	case "modified":
		return strconv.FormatBool(s.Modified()), true
	case "unmark":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accessed, s.modified = false, false
		return "ok", true
	case "empty":
		return strconv.FormatBool(s.Empty()), true
	case "save":
		return word(s.Save(ctx)), true
	case "create":
		return word(s.Create(ctx)), true
	case "mustcreate":
		return word(h.mustCreate(s)), true
	case "delete":
		id := s.ID()
		if rest != "" {
			id = h.key(rest)
		}
		return h.deleteFrom(h.outer, id), true
	case "flush":
		return word(s.Flush(ctx)), true
	case "cycle":
		return word(s.Cycle(ctx)), true
	case "expire":
		return word(s.SetExpiry(ctx, h.expiry(rest))), true
	case "age":
		at, _, err := s.Expires(ctx)
		h.check(err)
		return strconv.Itoa(int(math.Round(time.Until(at).Seconds()))), true
	case "browserclose":
		_, browser, err := s.Expires(ctx)
		h.check(err)
		return strconv.FormatBool(browser), true
	case "testcookie":
		return h.testCookie(s, rest), true
	case "encode":
		target, text, _ := strings.Cut(rest, " ")
		var c content
		h.check(json.Unmarshal([]byte(text), &c.Values))
		b, err := h.m.seal("some id", "some key", 0, c)
		h.check(err)
		h.vars[target] = string(b)
		return "ok", true
	case "decode":
		text := rest
		if v, ok := h.vars[strings.TrimPrefix(rest, "$")]; ok && strings.HasPrefix(rest, "$") {
			text = v
		}
		c, err := h.m.open("some id", "some key", []byte(text))
		if err != nil && !errors.Is(err, errCorrupted) {
			h.t.Errorf("decode: %v", err)
		}
		return jsonOf(h.t, orEmpty(c.Values)), true
	case "mutate":
		h.mutated[name] = true
		return "ok", true
	}
	return "", false
}

// data does the steps that are about the values.
func (h *djangoSteps) data(s *Session, verb, rest string) (string, bool) {
	ctx := context.Background()
	key, text, _ := strings.Cut(rest, " ")
	switch verb {
	case "set", "setint":
		return word(s.Set(ctx, key, json.RawMessage(text))), true
	case "update":
		var values map[string]json.RawMessage
		h.check(json.Unmarshal([]byte(rest), &values))
		for k, v := range values {
			h.check(s.Set(ctx, k, v))
		}
		return "ok", true
	case "get":
		v, _ := h.get(s, key)
		return v, true
	case "has":
		_, found := h.get(s, key)
		return strconv.FormatBool(found), true
	case "setdefault":
		if v, found := h.get(s, key); found {
			return v, true
		}
		h.check(s.Set(ctx, key, json.RawMessage(text)))
		return text, true
	case "pop", "popd", "del":
		v := json.RawMessage("null")
		found, err := s.Pop(ctx, key, &v)
		h.check(err)
		switch {
		case !found && verb == "popd":
			return text, true
		case !found:
			return "KeyError", true
		case verb == "del":
			return "ok", true
		}
		return string(v), true
	case "clear":
		return word(s.Clear(ctx)), true
	case "load":
		s.mu.Lock()
		defer s.mu.Unlock()
		h.check(s.load(ctx))
		return jsonOf(h.t, orEmpty(s.content.Values)), true
	case "keys", "items", "values":
		keys, err := s.Keys(ctx)
		h.check(err)
		items, values := map[string]json.RawMessage{}, []json.RawMessage{}
		for _, k := range keys {
			v, _ := h.get(s, k)
			items[k] = json.RawMessage(v)
			values = append(values, json.RawMessage(v))
		}
		switch verb {
		case "keys":
			return jsonOf(h.t, append([]string{}, keys...)), true
		case "items":
			return jsonOf(h.t, items), true
		}
		return jsonOf(h.t, values), true
	}
	return "", false
}

func (h *djangoSteps) get(s *Session, key string) (string, bool) {
	v := json.RawMessage("null")
	found, err := s.Get(context.Background(), key, &v)
	h.check(err)
	return string(v), found
}

// mustCreate is Django's save(must_create=True).
func (h *djangoSteps) mustCreate(s *Session) error {
	if s.ID() == "" {
		return s.Create(context.Background())
	}
	return h.outer.Create(context.Background(), keyOf(s.ID()), Record{})
}

func (h *djangoSteps) testCookie(s *Session, what string) string {
	switch what {
	case "set":
		return word(s.Set(context.Background(), "testcookie", "worked"))
	case "worked":
		v, _ := h.get(s, "testcookie")
		return strconv.FormatBool(v == `"worked"`)
	default:
		v, _ := h.data(s, "del", "testcookie")
		return v
	}
}

func (h *djangoSteps) expiry(text string) Expiry {
	if text == "none" {
		return Expiry{}
	}
	kind, number, dated := strings.Cut(text, ":")
	if !dated {
		number = kind
	}
	n, err := strconv.Atoi(number)
	h.check(err)
	switch d := time.Duration(n) * time.Second; {
	case dated:
		return Expiry{At: time.Now().Add(d)}
	case n == 0:
		return Expiry{AtBrowserClose: true}
	default:
		return Expiry{After: d}
	}
}

// exists reports whether there is a record, expired or not.
func (h *djangoSteps) exists(id string) bool {
	if _, err := h.outer.Load(context.Background(), keyOf(id)); err == nil {
		return true
	}
	for _, err := range h.outer.List(context.Background(), Query{Prefix: keyOf(id)}) {
		h.check(err)
		return true
	}
	return false
}

func (h *djangoSteps) deleteFrom(s Store, id string) string {
	if _, err := s.Delete(context.Background(), keyOf(id)); err != nil && !errors.Is(err, ErrNotFound) {
		return word(err)
	}
	return "ok"
}

// key returns a key that is written in a step.
func (h *djangoSteps) key(text string) string {
	if name, ok := strings.CutPrefix(text, "$"); ok {
		return h.vars[name]
	}
	switch text {
	case "EMPTY":
		return ""
	case "LONG":
		return strings.Repeat("a", 1240)
	}
	return text
}

func word(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrExists):
		return "CreateError"
	case errors.Is(err, ErrNotFound):
		return "UpdateError"
	default:
		return "RuntimeError"
	}
}

func setOrNull(id string) string {
	if id == "" {
		return "null"
	}
	return "set"
}

func orEmpty(m map[string]json.RawMessage) map[string]json.RawMessage {
	if m == nil {
		return map[string]json.RawMessage{}
	}
	return m
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sameValue compares words as text, and JSON by what it means.
func sameValue(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil {
		return reflect.DeepEqual(x, y)
	}
	return a == b
}

// brokenStore cannot add.
type brokenStore struct{ Store }

func (brokenStore) Create(context.Context, string, Record) error {
	return errors.New("the store is down")
}
