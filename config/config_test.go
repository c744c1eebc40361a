package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the messages that testdata expects anew")

// environment is what ${NAME} finds in testdata.
var environment = map[string]string{
	"LISTEN": "127.0.0.1:8081", "YES": "true", "EMPTY": "", "NUMBER": "5",
	"LIST": "10.0.0.0/8, 192.0.2.0/24", "LINES": "127.0.0.1:8080\ndata_dir: /", "PROXIES": "10.0.0.0/8", "PORT": "8080",
}

func testEnv(name string) (string, bool) {
	v, ok := environment[name]
	return v, ok
}

// fixtures copies testdata to where it can be given modes, and adds the files
// that do not belong in a repository.
func fixtures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "testdata")
	must(t, os.CopyFS(dir, os.DirFS("testdata")))
	must(t, filepath.WalkDir(filepath.Join(dir, "files"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600) //nolint:gosec // G122: our own copy
	}))
	files := filepath.Join(dir, "files")
	write(t, filepath.Join(files, "large.txt"), strings.Repeat("x", int(MaxScalar)+1), 0o600)
	key, other := newKey(t), newKey(t)
	write(t, filepath.Join(files, "key.pem"), keyPEM(t, key), 0o600)
	write(t, filepath.Join(files, "other-key.pem"), keyPEM(t, other), 0o600)
	write(t, filepath.Join(files, "cert.pem"), certificate(t, key, time.Now().Add(time.Hour)), 0o644)
	write(t, filepath.Join(files, "expired.pem"), certificate(t, key, time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC)), 0o644)
	return dir
}

// TestBad walks testdata/bad: each NAME.yaml holds one kind of mistake, and
// NAME.txt all that is said of it, as it is printed.
func TestBad(t *testing.T) {
	golden(t, "bad", func(t *testing.T, c *Config, err error) string {
		t.Helper()
		if err == nil {
			t.Fatal("the file is accepted")
		}
		if c != nil {
			t.Error("a configuration comes along with the error")
		}
		return err.Error()
	})
}

// TestWarn does the same with testdata/warn, of dangers that are allowed.
func TestWarn(t *testing.T) {
	golden(t, "warn", func(t *testing.T, c *Config, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("the file is refused: %v", err)
		}
		return c.Warnings.Error()
	})
}

func golden(t *testing.T, kind string, result func(*testing.T, *Config, error) string) {
	t.Helper()
	dir := filepath.Join(fixtures(t), kind)
	for _, file := range glob(t, filepath.Join(dir, "*.yaml")) {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			c, err := parse(file, read(t, file), nil, testEnv)
			got := strings.NewReplacer(dir+"/", "", filepath.Dir(dir)+"/", "").Replace(result(t, c, err)) + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is told:\n%s", got)
			}
			expected := filepath.Join("testdata", kind, name+".txt")
			if *update {
				write(t, expected, got, 0o644)
			}
			if want := string(read(t, expected)); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestGood walks testdata/good: each file is accepted, without a warning.
func TestGood(t *testing.T) {
	for _, file := range glob(t, filepath.Join(fixtures(t), "good", "*.yaml")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := parse(file, read(t, file), nil, testEnv)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Warnings) > 0 {
				t.Errorf("warnings: %v", c.Warnings)
			}
		})
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func certificate(t *testing.T, key *ecdsa.PrivateKey, until time.Time) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-24 * time.Hour), NotAfter: until, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func glob(tb testing.TB, pattern string) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	must(tb, err)
	if len(files) == 0 {
		tb.Fatalf("no files match %s", pattern)
	}
	return files
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	b, err := os.ReadFile(file) //nolint:gosec // G304: a fixture
	must(tb, err)
	return b
}

func write(tb testing.TB, file, text string, mode os.FileMode) {
	tb.Helper()
	must(tb, os.WriteFile(file, []byte(text), mode))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
