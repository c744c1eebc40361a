package password

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Strength is a rough estimate of how hard a password is to guess. It helps
// people to choose one and never is a reason to refuse it; for those see Check.
type Strength int

// The strengths, in ascending order. StrengthVeryWeak means that Check refuses
// the password.
const (
	StrengthVeryWeak Strength = iota
	StrengthWeak
	StrengthFair
	StrengthStrong
)

// String returns "very weak", "weak", "fair" or "strong".
func (s Strength) String() string {
	return [...]string{"very weak", "weak", "fair", "strong"}[min(max(s, StrengthVeryWeak), StrengthStrong)]
}

// The estimate in bits: each character counts bitsOfWords, because people write
// words, in which the next letter can be guessed, or bitsOfMixed if three kinds
// of characters are mixed. From bitsFair and bitsStrong on, the sum is called
// fair and strong.
const (
	bitsOfWords = 2.3
	bitsOfMixed = 4
	bitsFair    = 34
	bitsStrong  = 55
)

// StrengthOf estimates how hard the password of the account name is to guess.
// It counts the characters without those that add nothing: the user's name,
// repeated pieces, runs such as 1234 and aaaa, and common words. A password that
// Check refuses, such as one with fewer than least characters, is very weak.
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

// tiredWords are common words that add nothing to the estimate. Unlike
// commonWords they never make Check refuse a password.
var tiredWords = []string{
	"princess", "superman", "football", "baseball", "sunshine", "trustno1", "starwars", "monday", "friday", "summer", "winter", "spring",
	"autumn", "dragon", "monkey", "master", "shadow", "azerty", "abc123", "hello", "love", "root", "pass", "2023", "2024", "2025", "2026",
}

// telling counts the characters of s that cannot be predicted from those before
// them. It leaves out characters that continue a run (abc, 321, aaa), and those
// that complete a piece of three characters seen before.
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

// kinds returns how many kinds of characters s has, 0 to 5: lower case, upper
// case, digits, other ASCII characters except the space, and all beyond ASCII.
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
