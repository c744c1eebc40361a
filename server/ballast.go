package server

import (
	"os"
)

// gcBallast is the size in bytes of an allocation that is never touched: it takes
// address space and no memory. The garbage collector counts it as live, so it
// lets as much garbage accumulate before it runs. Without it, the few megabytes
// that a gate needs would make the collector run sixteen times a second under
// load. A larger GOGC would help too, but in proportion: ten thousand WebSockets
// would take twice their memory.
const gcBallast = 32 << 20

// ballast returns the allocation, which the caller keeps alive. It returns nil if
// the operator has set GOMEMLIMIT or GOGC: the ballast would count against their
// limit.
func ballast() []byte {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, gcBallast)
}
