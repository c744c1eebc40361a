// Package suggest finds the word that somebody meant and misspelled: a key of the
// configuration, a command, a flag.
package suggest

import "strings"

// maxWord is the length above which a word is not compared with any other: it is
// no slip of one of ours, and comparing takes time by the square of it.
const maxWord = 40

// Nearest returns the known word that word is a slip of; "" if none is near. Near is
// a known word with at most a third of the letters of word, and at most three,
// inserted, removed, replaced, or swapped with their neighbour; one is always
// near. Of equally near ones the first wins. Known words are spelled as Spell
// returns them.
func Nearest(word string, known []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, least := "", max(1, min(len(word)/3, 3))+1
	word = Spell(word)
	for _, k := range known {
		if n := distance(word, k); n < least {
			best, least = k, n
		}
	}
	return best
}

// Spell returns word as keys of the configuration are spelled, in lower case with
// _ between the parts: idleTimeout and Idle-Timeout are idle_timeout.
func Spell(word string) string {
	var b strings.Builder
	for i, c := range strings.ReplaceAll(word, "-", "_") {
		if 'A' <= c && c <= 'Z' {
			if i > 0 && 'a' <= word[i-1] && word[i-1] <= 'z' {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// distance returns how many bytes have to be inserted, removed, replaced, or
// swapped with their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1) // of a[:i-1] and a[:i]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
