package sessions

import (
	"fmt"
	"strings"

	"gatehouse/internal/problem"
)

// ActivityConfig is the section session.activity: which requests are a use of the
// session, from which its idle timeout counts anew. By default all are.
type ActivityConfig struct {
	// Ignore are paths of which requests are never a use: they and all below them, by
	// whole segments, on every host, as clients send them.
	Ignore []string `yaml:"ignore"`
	// Background says that a request which is no navigation is a use as well: what the
	// script of an open page fetches, and a WebSocket that it opens.
	Background bool `yaml:"background"`
	// Transfers says that a session is in use while bytes of an upload or a download
	// are moving, if its request was a use. Streams of events (text/event-stream) are
	// not counted.
	Transfers bool `yaml:"transfers"`
	// Sockets says the same of what the client sends over a WebSocket.
	Sockets bool `yaml:"sockets"`
}

// SetDefaults fills in the defaults.
func (c *ActivityConfig) SetDefaults() { c.Background, c.Transfers, c.Sockets = true, true, true }

// Check adds to report what is wrong with the section, and warnings of what is
// doubtful. Keys in report are relative to the section.
func (c *ActivityConfig) Check(report *problem.List) {
	for i, path := range c.Ignore {
		key := fmt.Sprintf("ignore[%d]", i)
		switch {
		case path == "" || path[0] != '/':
			report.Errorf(key, "%q does not begin with a slash; write %q", path, "/"+path)
		case !plainSegments(path):
			report.Errorf(key, "%q can be read in more than one way; use letters, digits and - _ ~ . without empty or dot segments", path)
		case path == "/":
			report.Warnf(key, "takes in every path, so that a session ends idle_timeout after the login whatever its owner does; write the paths of polls alone")
		}
	}
}

// plainSegments reports whether every program reads the path in the same way.
func plainSegments(path string) bool {
	rest := strings.TrimSuffix(path[1:], "/")
	if rest == "" {
		return path == "/"
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment[len(segment)-1] == '.' { // dot segments, and Windows drops a dot at the end
			return false
		}
		for i := range len(segment) {
			switch c := segment[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_~.", c) >= 0:
			default:
				return false
			}
		}
	}
	return true
}
