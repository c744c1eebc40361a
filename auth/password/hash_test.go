package password_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/auth/password"
	"gatehouse/internal/e2e"
	"gatehouse/internal/limit"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
)

// cheapHasher makes one hash at a time, of so many KiB.
func cheapHasher(memory uint32, worked func(cost float64)) *password.Hasher {
	return password.NewHasher(password.Options{
		Params: password.Params{Memory: memory, Time: 1, Lanes: 1}, Queue: limit.NewSemaphore(1, 64, time.Minute), Worked: worked,
	})
}

// Django 145, 149.
func TestPasswordHashesOfDjango(t *testing.T) {
	h := cheapHasher(64, nil)
	for _, row := range e2e.Cases(t, "password-hashes.tsv") {
		got, err := h.Check(t.Context(), secret.New(row["encoded"]), row["password"])
		if want := row["matches"] == "true"; err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", row["id"], got, err, want)
		}
		if row["matches"] == "true" {
			if err := password.CheckHash(secret.New(row["encoded"])); err != nil {
				t.Errorf("%s: CheckHash: %v", row["id"], err)
			}
		}
	}
}

func TestHashIsArgon2idAndChecks(t *testing.T) {
	h := password.NewHasher(password.Options{})
	hash, err := h.Hash(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash.Reveal(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %.40s", hash.Reveal())
	}
	if h.Outdated(hash) || password.CheckHash(hash) != nil {
		t.Errorf("outdated: %v, wrong: %v", h.Outdated(hash), password.CheckHash(hash))
	}
	for password, want := range map[string]bool{"correct horse battery staple": true, "correct horse battery stapl": false, "": false} {
		if ok, err := h.Check(t.Context(), hash, password); ok != want || err != nil {
			t.Errorf("Check(%q) = %v, %v", password, ok, err)
		}
	}
	for _, password := range []string{"", strings.Repeat("a", 1025)} {
		if _, err := h.Hash(t.Context(), password); err == nil {
			t.Errorf("a password of %d bytes is hashed", len(password))
		}
	}
}

func TestBcryptKinds(t *testing.T) {
	made, err := bcrypt.GenerateFromPassword([]byte("secret"), 4)
	if err != nil {
		t.Fatal(err)
	}
	h := cheapHasher(64, nil)
	for _, kind := range []string{"$2a$", "$2b$", "$2y$"} {
		for _, prefix := range []string{"", "bcrypt$"} {
			hash := secret.New(prefix + kind + string(made[4:]))
			if ok, err := h.Check(t.Context(), hash, "secret"); !ok || err != nil {
				t.Errorf("%s%s: %v, %v", prefix, kind, ok, err)
			}
			if ok, _ := h.Check(t.Context(), hash, "Secret"); ok {
				t.Errorf("%s%s: a wrong password matches", prefix, kind)
			}
			if !h.Outdated(hash) {
				t.Errorf("%s%s is not upgraded", prefix, kind)
			}
		}
	}
}

// Go's bcrypt compares the first 72 bytes: a password of 73 that begins with
// the right 72 would match (security.md 0.9).
func TestBcryptTruncationLetsNobodyIn(t *testing.T) {
	right := strings.Repeat("a", 72)
	made, err := bcrypt.GenerateFromPassword([]byte(right), 4)
	if err != nil {
		t.Fatal(err)
	}
	h := cheapHasher(64, nil)
	for password, want := range map[string]bool{right: true, right + "a": false, right + strings.Repeat("b", 500): false} {
		if ok, err := h.Check(t.Context(), secret.New(string(made)), password); ok != want || err != nil {
			t.Errorf("%d bytes: %v, %v; want %v", len(password), ok, err, want)
		}
	}
}

func TestCheckHashRefuses(t *testing.T) {
	const salt, key = "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	for _, c := range []struct{ name, hash, says string }{
		{"nothing", "", "missing"},
		{"plain text", "hunter2", "no password hash"},
		{"plain text with a dollar", "hunter$2", "no password hash"},
		{"apr1", "$apr1$x$y", "MD5"},
		{"md5 crypt", "$1$x$y", "MD5"},
		{"Django's md5", "md5$salt$hash", "MD5"},
		{"unsalted SHA-1", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"},
		{"Django's sha1", "sha1$salt$hash", "SHA-1"},
		{"SHA-512 crypt", "$6$salt$hash", "not supported"},
		{"unusable", "!abc", "no password matches"},
		{"bcrypt, short", "$2y$99$x", "broken"},
		{"bcrypt, cost of hours", "$2b$31$" + strings.Repeat("a", 53), "asks for too much"},
		{"bcrypt, cost 17", "$2b$17$" + strings.Repeat("a", 53), "asks for too much"},
		{"bcrypt, cost 3", "$2b$03$" + strings.Repeat("a", 53), "broken"},
		{"bcrypt, other alphabet", "$2b$10$" + strings.Repeat("=", 53), "broken"},
		{"bcrypt, 2x", "$2x$10$" + strings.Repeat("a", 53), "broken"},
		{"argon2id, memory beyond the machine", "$argon2id$v=19$m=4294967,t=2,p=1$" + salt + "$" + key, "asks for too much"},
		{"argon2id, memory beyond numbers", "$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + key, "broken"},
		{"argon2id, 65 passes", "$argon2id$v=19$m=1024,t=65,p=1$" + salt + "$" + key, "asks for too much"},
		{"argon2id, 64 passes over 1 GiB", "$argon2id$v=19$m=1048576,t=64,p=1$" + salt + "$" + key, "asks for too much"},
		{"argon2id, no time", "$argon2id$v=19$m=1024,t=0,p=1$" + salt + "$" + key, "broken"},
		{"argon2id, no lanes", "$argon2id$v=19$m=1024,t=1,p=0$" + salt + "$" + key, "broken"},
		{"argon2id, lanes without memory", "$argon2id$v=19$m=8,t=1,p=4$" + salt + "$" + key, "broken"},
		{"argon2id, old version", "$argon2id$v=16$m=1024,t=1,p=1$" + salt + "$" + key, "version"},
		{"argon2id, no hash", "$argon2id$v=19$m=1024,t=1,p=1$" + salt + "$", "broken"},
		{"argon2id, padded", "$argon2id$v=19$m=1024,t=1,p=1$" + salt + "==$" + key, "broken"},
		{"argon2id, order", "$argon2id$v=19$t=1,m=1024,p=1$" + salt + "$" + key, "broken"},
		{"argon2id, sign", "$argon2id$v=19$m=+1024,t=1,p=1$" + salt + "$" + key, "broken"},
		{"argon2d", "$argon2d$v=19$m=1024,t=1,p=1$" + salt + "$" + key, "not supported"},
		{"pbkdf2, iterations of minutes", "pbkdf2_sha256$10000001$salt$IUxIJyP4X9NK5x/aG50IAmHc08QmvEXqMYTTxVoOKnU=", "asks for too much"},
		{"pbkdf2, none", "pbkdf2_sha256$0$salt$IUxIJyP4X9NK5x/aG50IAmHc08QmvEXqMYTTxVoOKnU=", "broken"},
		{"pbkdf2, cut", "pbkdf2_sha256$1000$NaCl$y6UK+57OG2yJnZIbS3E5E599IliwIIbBdkxEFXXG", "broken"},
		{"scrypt, memory", "scrypt$1048576$salt$64$1$" + strings.Repeat("A", 86) + "==", "asks for too much"},
		{"scrypt, time", "scrypt$1048576$salt$8$64$" + strings.Repeat("A", 86) + "==", "asks for too much"},
		{"scrypt, no power of two", "scrypt$1000$salt$8$1$" + strings.Repeat("A", 86) + "==", "broken"},
		{"long", "$argon2id$" + strings.Repeat("a", 2000), "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := password.CheckHash(secret.New(c.hash))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "gatehouse hash") {
				t.Fatalf("CheckHash: %v; want %q and the remedy", err, c.says)
			}
			if len(c.hash) > 6 && strings.Contains(err.Error(), c.hash) {
				t.Errorf("the text holds what may be a password: %v", err)
			}
			if !password.NewHasher(password.Options{}).Outdated(secret.New(c.hash)) {
				t.Error("what cannot be read is not weak")
			}
		})
	}
}

// An attacker who can measure time must learn nothing: whatever is checked,
// the same work is done. The work is counted, since a clock would lie here.
//
// Django 97, 148.
func TestEnumerationByTimeLearnsNothing(t *testing.T) {
	ctx := t.Context()
	var work float64
	h := cheapHasher(1024, func(cost float64) { work += cost })
	own, err := h.Hash(ctx, "the right password")
	if err != nil {
		t.Fatal(err)
	}
	cheap, err := bcrypt.GenerateFromPassword([]byte("the right password"), 4)
	if err != nil {
		t.Fatal(err)
	}
	const argonID = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	check := func(hash, password string) float64 {
		t.Helper()
		work = 0
		if _, err := h.Check(ctx, secret.New(hash), password); err != nil {
			t.Fatal(err)
		}
		return work
	}
	hashes := map[string]string{
		"unknown": "", "unusable": "!", "unreadable": "gibberish", "ours": own.Reveal(), "cheap bcrypt": string(cheap), "cheap argon2id": argonID,
		"cheap pbkdf2": "pbkdf2_sha256$200$jkiaa5cD7jYQ3oge6ykj9c$MjFF1AI5x1umMmx6B0HOij7iQjdVgm3sVajvkb9uYh8=",
	}
	compare := func(t *testing.T, want float64) {
		t.Helper()
		for name, hash := range hashes {
			for _, password := range []string{"the right password", "a wrong password", strings.Repeat("x", 100)} {
				if got := check(hash, password); got != want {
					t.Errorf("%s, %.20s: work %.0f, want %.0f", name, password, got, want)
				}
			}
		}
	}
	for _, hash := range hashes { // as at the start
		check(hash, "x")
	}
	compare(t, check(own.Reveal(), "x"))
	// A dearer hash than ours: from the first time it is met, all cost as much.
	dear, err := bcrypt.GenerateFromPassword([]byte("the right password"), 5)
	if err != nil {
		t.Fatal(err)
	}
	hashes["dear bcrypt"] = string(dear)
	compare(t, check(string(dear), "x"))
}

// The same with the clock of the processor, which does not count what others do
// on the machine: kinds of hashes, disabled and unknown names cost about the
// same. They are measured by turns, and their medians compared.
func TestEnumerationByTheClockLearnsNothing(t *testing.T) {
	h := cheapHasher(1024, nil)
	own, err := h.Hash(t.Context(), "the right password")
	if err != nil {
		t.Fatal(err)
	}
	dear, err := bcrypt.GenerateFromPassword([]byte("the right password"), 6)
	if err != nil {
		t.Fatal(err)
	}
	cheap, err := bcrypt.GenerateFromPassword([]byte("the right password"), 4)
	if err != nil {
		t.Fatal(err)
	}
	const key = "MjFF1AI5x1umMmx6B0HOij7iQjdVgm3sVajvkb9uYh8="
	hashes := map[string]string{
		"unknown": "", "disabled": "!", "argon2id": own.Reveal(), "bcrypt": string(dear), "cheap bcrypt": string(cheap),
		"pbkdf2": "pbkdf2_sha256$12000$jkiaa5cD7jYQ3oge6ykj9c$" + key, "old pbkdf2": "pbkdf2_sha256$500$jkiaa5cD7jYQ3oge6ykj9c$" + key,
	}
	took := map[string][]time.Duration{}
	for i := range 16 {
		for name, hash := range hashes {
			before := processorTime(t)
			if _, err := h.Check(t.Context(), secret.New(hash), "a wrong password"); err != nil {
				t.Fatal(err)
			}
			if i >= 3 { // every kind has been met
				took[name] = append(took[name], processorTime(t)-before)
			}
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(took[name])
		return took[name][len(took[name])/2]
	}
	want := median("unknown")
	for name := range hashes {
		if got := median(name); got < want*7/10 || got > want*13/10 {
			t.Errorf("%s takes %s, an unknown name %s", name, got, want)
		}
	}
}

// processorTime is how long this process has computed.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestHasherQueueIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := limit.NewSemaphore(1, 64, 5*time.Second)
		h := password.NewHasher(password.Options{Params: password.Params{Memory: 64, Time: 1, Lanes: 1}, Queue: queue})
		if err := queue.Acquire(t.Context(), limit.Claim{}); err != nil {
			t.Fatal(err)
		}
		const tries = 80
		got := make(chan error, tries)
		for range tries {
			go func() {
				_, err := h.Hash(context.Background(), "a password to wait for")
				got <- err
			}()
		}
		synctest.Wait()
		// 64 may wait; the others were turned away at once.
		if n := len(got); n != tries-64 {
			t.Errorf("%d of %d were turned away at once", n, tries)
		}
		start := time.Now()
		for range tries {
			var e *web.Error
			if err := <-got; !errors.As(err, &e) || e.Code != http.StatusTooManyRequests || e.Header.Get("Retry-After") == "" {
				t.Errorf("Hash: %v; want 429 with Retry-After", err)
			}
		}
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("the queue waited for %v", waited)
		}
		queue.Release()
		if _, err := h.Hash(context.Background(), "a password"); err != nil {
			t.Errorf("after the rush: %v", err)
		}
	})
}

func TestHasherGivesUpWithItsCaller(t *testing.T) {
	queue := limit.NewSemaphore(1, 64, 5*time.Second)
	h := password.NewHasher(password.Options{Queue: queue})
	if err := queue.Acquire(t.Context(), limit.Claim{}); err != nil {
		t.Fatal(err)
	}
	defer queue.Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := h.Check(ctx, secret.New("x"), "y"); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v, %v", ok, err)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, c := range []struct {
		password, name string
		ok             bool
	}{
		{"correct horse battery staple", "alice", true},
		{"836471950274613", "alice", true},
		{"ein langer satz ohne ziffern", "alice", true},
		{"пароль из четырёх слов", "alice", true},
		{strings.Repeat("correct horse ", 60), "alice", true},
		{"short", "alice", false},
		{"fourteen chars", "alice", false},
		{strings.Repeat("ä", 600), "alice", false},
		{"aaaaaaaaaaaaaaaa", "alice", false},
		{"abcabcabcabcabcabc", "alice", false},
		{"123456789012345", "alice", false},
		{"qwertyuiopasdfgh", "alice", false},
		{"passwordpassword", "alice", false},
		{"Password12345678", "alice", false},
		{"letmein-letmein-1", "alice", false},
		{"alice@example.com", "alice@example.com", false},
		{"Alice@Example.com1", "alice@example.com", false},
		{"my alice sings songs", "alice", true},
	} {
		if err := password.Check(c.password, c.name, password.DefaultMinLength); (err == nil) != c.ok {
			t.Errorf("Check(%.30q, %q): %v", c.password, c.name, err)
		}
	}
}

func FuzzCheckHash(f *testing.F) {
	for _, s := range []string{
		"", "!", "$", "$$$", "$2b$04$jXwEHqpTx/yisCAVfLCcPOKN4b/tC8l21XK/IO3ddrOvIKTL.318S", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5",
		"pbkdf2_sha256$1$a$IUxIJyP4X9NK5x/aG50IAmHc08QmvEXqMYTTxVoOKnU=", "scrypt$2$a$1$1$" + strings.Repeat("A", 86) + "==", "bcrypt_sha256$$2b$04$x",
	} {
		f.Add(s)
	}
	h := password.NewHasher(password.Options{})
	f.Fuzz(func(t *testing.T, s string) {
		hash := secret.New(s)
		err := password.CheckHash(hash)
		if err != nil && !h.Outdated(hash) {
			t.Errorf("%q cannot be used (%v), and is not weak", s, err)
		}
		if err != nil && !strings.Contains(err.Error(), ";") {
			t.Errorf("%v: no remedy", err)
		}
	})
}

func ExampleHasher() {
	h := password.NewHasher(password.Options{})
	hash, err := h.Hash(context.Background(), "correct horse battery staple")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hash) // never shown by accident
	ok, err := h.Check(context.Background(), hash, "correct horse battery staple")
	fmt.Println(ok, err)
	// Output:
	// [redacted]
	// true <nil>
}
