package password

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Strength says in a word how hard a password is to guess: a help for who
// chooses one, never a reason to refuse it (Check has those).
type Strength int

// The strengths. StrengthVeryWeak is what Check refuses.
const (
	StrengthVeryWeak Strength = iota
	StrengthWeak
	StrengthFair
	StrengthStrong
)

func (s Strength) String() string {
	return [...]string{"very weak", "weak", "fair", "strong"}[min(max(s, StrengthVeryWeak), StrengthStrong)]
}

// What a guesser has to try for, in bits a character: people write words, in
// which the next letter can be guessed. Only where kinds of characters are
// mixed does each tell more.
const (
	bitsOfWords = 2.3
	bitsOfMixed = 4
	bitsFair    = 34
	bitsStrong  = 55
)

// StrengthOf estimates how hard the password of that account is to guess: by
// its length without what adds nothing (the user's name, repeated pieces,
// runs such as 1234 and aaaa, the words that everybody uses). One of fewer than
// least characters is very weak.
func StrengthOf(password, name string, least int) Strength {
	if weakness(password, name, least) != nil {
		return StrengthVeryWeak
	}
	rest := strings.ToLower(password)
	if len(name) >= 3 {
		rest = strings.ReplaceAll(rest, strings.ToLower(name), "\x00")
	}
	for _, words := range [][]string{commonWords, tiredWords} {
		for _, word := range words {
			rest = strings.ReplaceAll(rest, word, "\x00")
		}
	}
	per := bitsOfWords
	if kinds(password) >= 3 {
		per = bitsOfMixed
	}
	switch bits := per * float64(telling(rest)); {
	case bits >= bitsStrong:
		return StrengthStrong
	case bits >= bitsFair:
		return StrengthFair
	default:
		return StrengthWeak
	}
}

// tiredWords are tried early as well, but may be part of a good password.
var tiredWords = []string{
	"princess", "superman", "football", "baseball", "sunshine", "trustno1", "starwars", "monday", "friday", "summer", "winter", "spring",
	"autumn", "dragon", "monkey", "master", "shadow", "azerty", "abc123", "hello", "love", "root", "pass", "2023", "2024", "2025", "2026",
}

// telling counts the characters that those before them do not give away: not
// those that go on with a run up or down the alphabet or the same character,
// and not pieces of three that were there before.
func telling(s string) (n int) {
	seen := map[string]bool{}
	r := []rune(s)
	for i := range r {
		if i >= 2 {
			piece := string(r[i-2 : i+1])
			step := r[i] - r[i-1]
			if seen[piece] || step == r[i-1]-r[i-2] && step >= -1 && step <= 1 {
				continue
			}
			seen[piece] = true
		}
		n++
	}
	return n
}

// kinds counts the kinds of characters: lower, upper, digits, others but
// spaces, and what is not ASCII.
func kinds(s string) int {
	var lower, upper, digit, other, wide int
	for _, r := range s {
		switch {
		case r >= utf8.RuneSelf:
			wide = 1
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsDigit(r):
			digit = 1
		case r != ' ':
			other = 1
		}
	}
	return lower + upper + digit + other + wide
}
