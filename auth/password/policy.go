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

// Check returns nil if a new password may be set for the account name, and
// otherwise a *WeakError: the password has fewer than least characters (Unicode
// code points), more than MaxLength bytes, or is too easily guessed. There are
// no rules about which characters it has. Check is for new passwords and never
// for a login, so that a stricter policy locks nobody out.
func Check(password, name string, least int) error {
	if weak := weakness(password, name, least); weak != nil {
		return weak
	}
	return nil
}

// A WeakError says why a password must not be set. It never contains the
// password.
type WeakError struct {
	text string
	Say  lang.Text // the message for a page, translated into the visitor's language
}

// Error returns the message in English, for a terminal or a log.
func (w *WeakError) Error() string { return w.text }

// weakness is Check with a typed result; nil means that the password may be set.
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

// repeats reports whether s is one piece of 1 to 5 bytes, repeated; the last
// repetition may be cut short.
func repeats(s string) bool {
	for n := 1; n <= 5; n++ {
		if strings.Repeat(s[:min(n, len(s))], len(s)/n+1)[:len(s)] == s {
			return true
		}
	}
	return false
}

// common reports whether s, in lower case, is a run along the keyboard or the
// alphabet, or is made of commonWords, apart from digits, punctuation and at
// most two more letters.
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

// commonWords are the words that the most common long passwords are made of.
// They are removed in this order, so longer words come before their parts.
var commonWords = []string{
	"administrator", "gatehouse", "password", "passw0rd", "passwort", "iloveyou", "changeme", "letmein", "welcome", "default",
	"please", "secret", "qwerty", "admin", "login", "test", "user", "this", "your", "the", "my", "is",
}
