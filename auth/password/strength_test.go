package password

import (
	"fmt"
	"testing"
)

func TestStrengthOf(t *testing.T) {
	for _, c := range []struct {
		password, name string
		want           Strength
	}{
		{"", "", StrengthVeryWeak},
		{"hunter2", "", StrengthVeryWeak},
		{"aaaaaaaaaaaaaaaaaaaaaaaa", "", StrengthVeryWeak},
		{"password-password", "", StrengthVeryWeak},
		{"abcdefghijklmnopqrst", "", StrengthVeryWeak},
		{"alicealicealicealice", "alice", StrengthVeryWeak},
		{"summer2024summer2024!", "", StrengthWeak},
		{"alice-alice monday", "alice", StrengthWeak},
		{"aaaabbbbccccddddeeee", "", StrengthWeak},
		{"my dog is called rex", "", StrengthFair},
		{"correct horse battery staple", "", StrengthStrong},
		{"vT7#kq-Zm2!pWx9", "", StrengthStrong},
		{"öffne die grüne kellertür bitte", "", StrengthStrong},
		{"一二三四五六七八九十百千万億兆", "", StrengthFair},
	} {
		if got := StrengthOf(c.password, c.name, DefaultMinLength); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.password, c.name, got, c.want)
		}
		if refused := Check(c.password, c.name, DefaultMinLength) != nil; refused != (c.want == StrengthVeryWeak) {
			t.Errorf("%q of %q: refused %v, and %v", c.password, c.name, refused, c.want)
		}
	}
}

func FuzzStrengthOf(f *testing.F) {
	f.Add("correct horse battery staple", "alice")
	f.Add("\xff\x00", "\xff")
	f.Fuzz(func(t *testing.T, password, name string) {
		if s := StrengthOf(password, name, DefaultMinLength); s < StrengthVeryWeak || s > StrengthStrong || s.String() == "" {
			t.Errorf("%d", s)
		}
	})
}

func ExampleStrengthOf() {
	fmt.Println(StrengthOf("summer2024summer2024", "alice", DefaultMinLength))
	fmt.Println(StrengthOf("correct horse battery staple", "alice", DefaultMinLength))
	// Output:
	// weak
	// strong
}
