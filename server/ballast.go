package server

import (
	"os"
)

// gcBallast is the size of memory that is never touched, so it takes address
// space and nothing else. The collector counts it as live: it waits for as much
// garbage again before it runs, where the few megabytes that a gate needs would
// make it run sixteen times a second under load. A larger GOGC would do that
// too, but in proportion, and ten thousand WebSockets would take twice their
// memory.
const gcBallast = 32 << 20

// ballast returns that memory. It returns nil if the operator has set
// GOMEMLIMIT or GOGC, because it would count against that limit.
func ballast() []byte {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, gcBallast)
}
