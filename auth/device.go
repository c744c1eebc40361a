package auth

import (
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"time"
)

// The device cookie proves that somebody has signed in to an account in this browser
// before. It grants no access: it only gives the browser a throttle budget of its
// own, so that guesses from elsewhere cannot lock the owner out. A browser has one,
// for the account of its last login.
const (
	deviceAge = 365 * 24 * time.Hour // lifetime; each login renews it
	deviceID  = 16                   // length of the id in bytes
	deviceLen = deviceID + 8         // the id and the time of issue, before the signature
)

// Device returns the id of the browser, which is 16 random bytes and no text, if it
// has a valid device cookie for the account of that name; otherwise "".
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

// SetDevice sets the device cookie after a login to the account of that name. A
// browser that has a valid one for the account keeps its id, so that its throttle
// counts stay.
func (c *Cookies) SetDevice(w http.ResponseWriter, r *http.Request, name string) {
	id := []byte(c.Device(r, name))
	if len(id) == 0 {
		id = make([]byte, deviceID)
		_, _ = rand.Read(id) // never fails: the process ends instead
	}
	b := binary.BigEndian.AppendUint64(id, uint64(time.Now().Unix())) //nolint:gosec // G115: after 1970
	c.Set(w, r, cookieDevice, b64.EncodeToString(append(b, c.keys.sign("device", b, []byte(name))...)), deviceAge)
}
