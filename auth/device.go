package auth

import (
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"time"
)

// The device cookie says that somebody has signed in to an account in this
// browser before. It opens nothing: it only keeps guesses from elsewhere from
// locking the owner out.
const (
	deviceAge = 365 * 24 * time.Hour
	deviceID  = 16           // bytes of the id
	deviceLen = deviceID + 8 // and when it was given
)

// Device returns the id of the browser if it has a device cookie for the
// account; else "".
func (c *Cookies) Device(r *http.Request, name string) string {
	b, _ := c.Read(r, cookieDevice, func(b []byte) bool {
		return len(b) == deviceLen+MACSize && c.keys.verify(b[deviceLen:], "device", b[:deviceLen], []byte(name))
	})
	if b == nil {
		return ""
	}
	given := time.Unix(int64(binary.BigEndian.Uint64(b[deviceID:deviceLen])), 0) //nolint:gosec // G115: we signed it
	if age := time.Since(given); age > deviceAge || age < -time.Hour {
		return ""
	}
	return string(b[:deviceID])
}

// SetDevice marks the browser as one that has signed in to the account. One
// that is marked already keeps its id: what was counted for it still counts.
func (c *Cookies) SetDevice(w http.ResponseWriter, r *http.Request, name string) {
	id := []byte(c.Device(r, name))
	if len(id) == 0 {
		id = make([]byte, deviceID)
		_, _ = rand.Read(id) // never fails: the process ends instead
	}
	b := binary.BigEndian.AppendUint64(id, uint64(time.Now().Unix())) //nolint:gosec // G115: after 1970
	c.Set(w, r, cookieDevice, b64.EncodeToString(append(b, c.keys.sign("device", b, []byte(name))...)), deviceAge)
}
