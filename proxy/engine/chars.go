package engine

// validTarget reports whether s can stand in a request line: it is not empty and has no
// spaces or control characters, which would split or end the line.
func validTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}
