package engine

import (
	"crypto/sha1" //nolint:gosec // RFC 6455, 4.2.2 names it; nothing secret is hashed
	"encoding/base64"
	"net/http"
	"strings"
)

// acceptFits reports whether the answer to a WebSocket handshake matches the request's
// key (RFC 6455, 4.2.2). An answer that does not was not made by a WebSocket server
// for this request. Behind such a 101 the client's bytes might be read as requests,
// which no rule has checked.
func acceptFits(r *Request, answer http.Header) bool {
	if !strings.EqualFold(r.Upgrade, "websocket") {
		return true
	}
	key, accept := r.Header.Get("Sec-Websocket-Key"), answer["Sec-Websocket-Accept"]
	if len(key) != 1 || len(accept) != 1 {
		return false
	}
	sum := sha1.Sum([]byte(strings.TrimSpace(key[0]) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	return accept[0] == base64.StdEncoding.EncodeToString(sum[:])
}
