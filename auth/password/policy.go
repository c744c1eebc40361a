package password

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/web/lang"
)

// DefaultMinLength is NIST's minimum where a password is the only factor
// (SP 800-63B-4, 3.1.1.2).
const DefaultMinLength = 15

// Check returns why a new password of the account name must not be set, as a
// *WeakError: it has fewer than least characters, is too long, or is too easily
// guessed. nil: it may be set. There are no rules about the characters in it. It
// is for new passwords, never for a login.
func Check(password, name string, least int) error {
	if weak := weakness(password, name, least); weak != nil {
		return weak
	}
	return nil
}

// A WeakError says why a password must not be set.
type WeakError struct {
	text string
	Say  lang.Text // the same on a page, in the visitor's language
}

func (w *WeakError) Error() string { return w.text }

func weakness(password, name string, least int) *WeakError {
	switch n := utf8.RuneCountInString(password); {
	case len(password) > MaxLength:
		return &WeakError{"the password is longer than 1024 bytes", lang.Text{Key: "The new password is too long."}}
	case n < least:
		return &WeakError{
			fmt.Sprintf("the password has %d characters; take at least %d, for example four words", n, least),
			lang.Text{Key: "The new password is too short. Take at least {n} characters, for example four words.", N: least},
		}
	}
	low := strings.ToLower(password)
	switch {
	case name != "" && strings.ReplaceAll(low, strings.ToLower(name), "") == "",
		name != "" && len(name) >= least/2 && strings.Contains(low, strings.ToLower(name)) && len(low)-len(name) < least/2:
		return &WeakError{
			"the password is the user's name; take something that others do not know",
			lang.Text{Key: "The new password is your user name. Take something that others do not know."},
		}
	case repeats(low):
		return &WeakError{
			"the password repeats a few characters; take something longer to guess, for example four words",
			lang.Text{Key: "The new password repeats a few characters. Take something that is harder to guess, for example four words."},
		}
	case common(low):
		return &WeakError{
			"the password is among the first that are tried; take something of your own, for example four words",
			lang.Text{Key: "The new password is among the first that are tried. Take something of your own, for example four words."},
		}
	}
	return nil
}

// repeats says whether s is one short piece again and again.
func repeats(s string) bool {
	for n := 1; n <= 5; n++ {
		if strings.Repeat(s[:min(n, len(s))], len(s)/n+1)[:len(s)] == s {
			return true
		}
	}
	return false
}

// common says whether s is a run along the keyboard or the alphabet, or one
// of the long passwords on every list, with little added.
func common(s string) bool {
	letters := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_.!?#$*", r) {
			return -1
		}
		return r
	}, s)
	for _, run := range []string{
		"abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba", "01234567890123456789012345678901234567890", "98765432109876543210987654321098765432109",
		"qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp",
	} {
		if rest := strings.TrimRight(letters, "0123456789"); strings.Contains(run, letters) || len(rest) > 5 && strings.HasPrefix(run, rest) {
			return true
		}
	}
	words := strings.Trim(letters, "0123456789")
	rest := words
	for _, word := range commonWords {
		rest = strings.ReplaceAll(rest, word, "")
	}
	return words != "" && len(rest) < 3
}

// commonWords are what the passwords on every list are made of, the longer
// ones first.
var commonWords = []string{
	"administrator", "gatehouse", "password", "passw0rd", "passwort", "iloveyou", "changeme", "letmein", "welcome", "default",
	"please", "secret", "qwerty", "admin", "login", "test", "user", "this", "your", "the", "my", "is",
}
