package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const oneRoute = "routes:\n  - upstream: http://127.0.0.1:3000\n"

const aHash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Yk1jVn3G4V0Wn8f7l0wJ2o0o8d5K2bq3V7mYw2ZxQ3E"

func TestDefaults(t *testing.T) {
	c, err := Parse("gatehouse.yaml", []byte(oneRoute))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"version":      c.Version == 1,
		"listen":       c.Listen == "127.0.0.1:8080",
		"data_dir":     c.DataDir == "data",
		"log":          c.Log == LogConfig{Level: "info", Format: "auto", Access: true},
		"tls":          !c.TLS.Enabled(),
		"idle_timeout": c.Session.IdleTimeout.D() == 30*time.Minute,
		"access":       c.Routes[0].Access == nil,
		"warnings":     len(c.Warnings) == 0,
		"trusted":      c.Trusted == nil,
		"file":         c.File == "gatehouse.yaml",
	} {
		if !ok {
			t.Errorf("%s is not at its default: %+v", what, c)
		}
	}
}

func TestEmptyListIsNotAbsent(t *testing.T) {
	c, err := Parse("", []byte("routes:\n  - upstream: http://127.0.0.1:3000\n    access: []\n"))
	if err == nil && c.Routes[0].Access == nil {
		t.Error("access: [] became no access at all, which lets whoever is signed in pass")
	}
}

func TestGivenListReplacesTheDefault(t *testing.T) {
	c, err := Parse("", []byte("identity: {headers: {X-User: username}}\n"+oneRoute))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Identity.Headers; len(got) != 1 || got["X-User"] != "username" {
		t.Errorf("headers: %v", got)
	}
}

func TestTextStaysAsItIsWritten(t *testing.T) {
	c, err := Parse("", read(t, "testdata/good/text-stays-text.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range c.Users {
		names = append(names, u.Name)
	}
	if want := []string{"no", "1e3", "0x10", "null", "2001-01-01", "08", "~"}; !slices.Equal(names, want) {
		t.Errorf("users %q, want %q", names, want)
	}
	if c.Login.Title != "1e3" {
		t.Errorf("title %q", c.Login.Title)
	}
}

func TestEnvironment(t *testing.T) {
	c, err := parse("", read(t, "testdata/good/environment.yaml"), nil, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8081" || c.Login.Title != "costs $5 and ${HOME} $x $" || c.Session.MaxPerUser != 5 || c.Session.IdleTimeout.D() != 5*time.Minute {
		t.Errorf("listen %q, title %q, session %+v", c.Listen, c.Login.Title, c.Session)
	}
}

func TestExpand(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"a ${YES} b":        "a true b",
		"${EMPTY}":          "",
		"${YES}${YES}":      "truetrue",
		"$${YES}":           "${YES}",
		"$$${YES}":          "$${YES}",
		"$2y$12$abc":        "$2y$12$abc",
		"$YES":              "$YES",
		"$":                 "$",
		"{$}":               "{$}",
		"$${YES} is ${YES}": "${YES} is true",
	} {
		if got, err := expand(in, testEnv); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${", "${}", "${YES", "${YES:-x}", "${1}", "${Ä}", "${UNSET}", "${ YES }"} {
		if got, err := expand(in, testEnv); err == nil {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	dir := fixtures(t)
	c, err := Load(filepath.Join(dir, "good", "secret-files.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Session.Secrets) != 2 || c.Session.Secrets[1].Reveal() != "Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6J7k8L9z0X1c" {
		t.Errorf("%d secrets, want the two lines of the file", len(c.Session.Secrets))
	}
	if c.Users[0].PasswordHash.Reveal() != aHash {
		t.Error("the hash is not that of the file")
	}
}

func TestNamedPipeIsRefusedWithoutWaiting(t *testing.T) {
	dir := t.TempDir()
	makePipe(t, filepath.Join(dir, "pipe"))
	_, err := Parse(filepath.Join(dir, "gatehouse.yaml"), []byte("session:\n  secrets_file: pipe\n"+oneRoute))
	if err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("error: %v", err)
	}
}

// TestModes checks who may read a file with secrets: a warning where others
// can, but not where the group of a service reads a file of root.
func TestModes(t *testing.T) {
	dir := fixtures(t)
	inline := "users:\n  - name: alice\n    password_hash: '" + aHash + "'\n" + oneRoute
	inFile := "users:\n  - name: alice\n    password_hash_file: files/hash.txt\n" + oneRoute
	inEnv := "session:\n  secrets: ['${GATEHOUSE_TEST_SECRET}']\n" + oneRoute
	t.Setenv("GATEHOUSE_TEST_SECRET", "k5Jf0bQy8wqUO3m1u4rXw2c7sN9aTzEh6VgLpDdKiYo")
	tls := "tls: {cert_file: files/cert.pem, key_file: files/key.pem}\n" + oneRoute
	for _, c := range []struct {
		name, text         string
		mode, secret, keys os.FileMode
		want               string // part of the only warning; "": none
	}{
		{"secrets in a private file", inline, 0o600, 0o600, 0o600, ""},
		{"secrets in a public file", inline, 0o644, 0o600, 0o600, "3: users[0].password_hash: others may read this file, which holds secrets (mode 0644); chmod 600 it, or write password_hash_file"},
		{"no secrets in a public file", oneRoute, 0o644, 0o600, 0o600, ""},
		{"secrets from a private file", inFile, 0o644, 0o600, 0o600, ""},
		{"secrets from a public file", inFile, 0o600, 0o604, 0o600, "3: users[0].password_hash_file: others may read the file"},
		{"secrets from the environment", inEnv, 0o644, 0o600, 0o600, ""},
		{"a private TLS key", tls, 0o644, 0o600, 0o600, ""},
		{"a public TLS key", tls, 0o644, 0o600, 0o644, "1: tls.key_file: others may read the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "gatehouse.yaml")
			write(t, file, c.text, 0o600)
			must(t, os.Chmod(file, c.mode))
			must(t, os.Chmod(filepath.Join(dir, "files", "hash.txt"), c.secret))
			must(t, os.Chmod(filepath.Join(dir, "files", "key.pem"), c.keys))
			conf, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			switch got := conf.Warnings.Error(); {
			case c.want == "" && got != "", len(conf.Warnings) > 1:
				t.Errorf("warnings: %s", got)
			case !strings.HasPrefix(got, file+":"+c.want) && c.want != "":
				t.Errorf("warning %q, want %q", got, c.want)
			}
		})
	}
}

func TestGroupOfARootFileMayReadIt(t *testing.T) {
	for _, c := range []struct {
		mode fs.FileMode
		uid  uint32
		want bool
	}{
		{0o600, 0, false}, {0o640, 0, false}, {0o640, 1000, true}, {0o644, 0, true}, {0o604, 1000, true}, {0o600, 1000, false},
	} {
		if got := openToOthers(fileInfo(c.mode, c.uid)); got != c.want {
			t.Errorf("mode %#o of user %d: %v", c.mode, c.uid, got)
		}
	}
}

func TestPathsStartAtTheFolderOfTheConfiguration(t *testing.T) {
	dir := fixtures(t)
	c, err := Parse(filepath.Join(dir, "good", "x.yaml"), []byte("data_dir: state\nlogin: {template: ../files/login.html}\n"+oneRoute))
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != filepath.Join(dir, "good", "state") || c.Login.Template != filepath.Join(dir, "files", "login.html") {
		t.Errorf("data_dir %q, template %q", c.DataDir, c.Login.Template)
	}
	if !strings.Contains(c.LoginHTML, "{{.Title}}") {
		t.Errorf("the template's text is %q", c.LoginHTML)
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	var ps Problems
	if _, err := Load(dir); err == nil || errors.As(err, &ps) {
		t.Errorf("a folder: %v", err)
	}
}

func TestCheckAllOfAConfigurationMadeInCode(t *testing.T) {
	c := Defaults()
	c.Listen = "0.0.0.0:80"
	c.TrustedProxies = []string{"10.0.0.0/8"}
	if err := c.CheckAll(); err != nil {
		t.Fatal(err)
	}
	if len(c.Trusted) != 1 || len(c.Warnings) != 1 || c.Warnings[0].Line != 0 {
		t.Errorf("trusted %v, warnings %v", c.Trusted, c.Warnings)
	}
	c.Listen, c.Log.Level = "80", "loud"
	err := c.CheckAll()
	if want := "listen: \"80\" is only a port; write 127.0.0.1:80, or :80 for all addresses\nlog.level: \"loud\" is no level; write debug, info, warn or error"; fmt.Sprint(err) != want {
		t.Errorf("error: %v", err)
	}
}

// TestAllProblemsAtOnce has mistakes for the source, the decoder, the
// sections' checks and the checks across sections in one file.
func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Parse("g.yaml", []byte("version: 3\nlissten: x\nlog: {access: on, level: loud}\nadmin: {listen: 127.0.0.1:8080}\ndata_dir: &a x\n"+oneRoute))
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 6 {
		t.Fatalf("%d problems, want 6:\n%v", len(ps), err)
	}
	if !slices.IsSortedFunc(ps, func(a, b Problem) int { return a.Line - b.Line }) {
		t.Errorf("not by line:\n%v", err)
	}
}

// TestSchema walks every struct of the configuration: the decoder can read
// each field, and each key is snake_case.
func TestSchema(t *testing.T) {
	var walk func(typ reflect.Type, key string)
	walk = func(typ reflect.Type, key string) {
		if reflect.PointerTo(typ).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
			return
		}
		switch typ.Kind() {
		case reflect.String, reflect.Bool, reflect.Int:
		case reflect.Pointer, reflect.Slice:
			walk(typ.Elem(), key)
		case reflect.Map:
			if typ.Key().Kind() != reflect.String || typ.Elem().Kind() != reflect.String {
				t.Errorf("%s: %v is not a map of text", key, typ)
			}
		case reflect.Struct:
			for _, f := range reflect.VisibleFields(typ) {
				name := f.Tag.Get("yaml")
				if f.IsExported() && !f.Anonymous && (name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_-") != "") {
					t.Errorf("%s.%s has the key %q", key, f.Name, name)
				}
				if name != "-" && name != "" {
					walk(f.Type, key+"."+name)
				}
			}
		default:
			t.Errorf("%s: the decoder cannot read %v", key, typ)
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

func TestPanicBecomesAProblem(t *testing.T) {
	env := func(string) (string, bool) { panic("secret text") }
	_, err := parse("g.yaml", []byte("listen: ${X}\n"), nil, env)
	refusedWithLines(t, err, "g.yaml")
	if strings.Contains(fmt.Sprint(err), "secret text") {
		t.Errorf("the panic's text is told: %v", err)
	}
}

// TestHintsNameKeysThatExist keeps what we tell people to write in step with
// what can be written.
func TestHintsNameKeysThatExist(t *testing.T) {
	known := keysOf(reflect.TypeFor[Config](), "")
	for _, h := range hints {
		target, ok := strings.CutPrefix(h.remedy, "write ")
		target, _, _ = strings.Cut(target, " ")
		target = strings.TrimRight(target, ":;,")
		if !ok || slices.Contains([]string{"it", "a", "who", "users"}, target) {
			continue
		}
		exists := slices.ContainsFunc(known, func(key string) bool {
			return strings.HasSuffix("."+key, "."+target)
		})
		if !exists {
			t.Errorf("in %q, %q says to write %s, which is no key", h.section, h.words, target)
		}
	}
}
