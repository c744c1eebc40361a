package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Password is the password of alice and bob, who are ordinary users, and of carol,
// who is in the group admins. That of long72 is 72 times the letter a.
const Password = "correct horse battery staple"

// users returns the section users of the configuration.
var users = sync.OnceValue(func() string {
	usual, long := hash(Password), hash(strings.Repeat("a", 72))
	return fmt.Sprintf(`users:
  - {name: alice, email: alice@example.com, display_name: Alice, groups: [staff], password_hash: %[1]q}
  - {name: bob, email: bob@example.com, display_name: Bob, password_hash: %[1]q}
  - {name: carol, email: carol@example.com, display_name: Carol, groups: [staff, admins], password_hash: %[1]q}
  - {name: long72, password_hash: %[2]q}
`, usual, long)
})

// hash returns a password hash as an operator would paste it, at the lowest cost
// of which Gatehouse does not warn. The salt is always the same.
func hash(password string) string {
	salt := []byte("sixteen letters!")
	key := argon2.IDKey([]byte(password), salt, 2, 19*1024, 1, 32)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=2,p=1$%s$%s", argon2.Version, 19*1024,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}
