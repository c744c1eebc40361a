package redisstore

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/sessions"
)

// encode returns a record as the scripts read it (lua/head.lua): a line of text with what
// they need, the user, and the whole record as EncodeRecord has it. Where the two differ,
// Version, Seen, Expires and Mark count as in the line, because Touch changes only that.
func encode(key string, r *sessions.Record) string {
	body := sessions.EncodeRecord(key, r)
	var b strings.Builder
	b.Grow(192 + len(r.User) + len(body))
	b.WriteString("2 ")
	b.WriteString(strconv.FormatUint(r.Version, 10))
	for _, t := range []time.Time{r.Seen, r.Expires, r.Limit} {
		b.WriteByte(' ')
		b.WriteString(formatTime(t))
	}
	b.WriteByte(' ')
	b.WriteString(strconv.FormatInt(int64(r.Idle), 10))
	b.WriteByte(' ')
	b.WriteString(strconv.Itoa(len(r.User)))
	b.WriteByte(' ')
	b.WriteString(formatMark(r.Mark))
	b.WriteByte('\n')
	b.WriteString(r.User)
	b.Write(body)
	return b.String()
}

// decode returns the record that encode has encoded for the key, or ErrDamaged. A line of
// format 1 has no mark.
func decode(key, value string) (sessions.Record, error) {
	line, rest, _ := strings.Cut(value, "\n")
	f := strings.Split(line, " ")
	old := len(f) == 7 && f[0] == "1"
	if !old && (len(f) != 8 || f[0] != "2") {
		return sessions.Record{}, damaged(key)
	}
	n, err := strconv.Atoi(f[6])
	if err != nil || n < 0 || n > len(rest) {
		return sessions.Record{}, damaged(key)
	}
	r, err := sessions.DecodeRecord(key, []byte(rest[n:]))
	if err != nil || r.User != rest[:n] || formatTime(r.Limit) != f[4] || strconv.FormatInt(int64(r.Idle), 10) != f[5] {
		return sessions.Record{}, damaged(key)
	}
	var bad [4]error
	r.Version, bad[0] = strconv.ParseUint(f[1], 10, 64)
	r.Seen, bad[1] = parseTime(f[2])
	r.Expires, bad[2] = parseTime(f[3])
	if !old {
		r.Mark, bad[3] = parseMark(f[7])
	}
	if bad != [4]error{} {
		return sessions.Record{}, damaged(key)
	}
	return r, nil
}

// readRecord returns the record in the answer to get: redis.Nil if there is none,
// ErrDamaged if it cannot be read, or a failure.
func readRecord(key string, answer *redis.StringCmd) (sessions.Record, error) {
	switch err := answer.Err(); {
	case noString(err):
		return sessions.Record{}, damaged(key)
	case err != nil:
		return sessions.Record{}, err
	}
	return decode(key, answer.Val())
}

// noString reports whether there is a list, a set or the like where a record should be.
func noString(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// damaged returns ErrDamaged with the handle of the session.
func damaged(key string) error {
	return fmt.Errorf("sessions: read %s: %w", sessions.Handle(key), sessions.ErrDamaged)
}

// formatTime returns microseconds since 1970, or - for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// formatMark returns the bytes in hexadecimal digits, or - for none.
func formatMark(mark []byte) string {
	if len(mark) == 0 {
		return "-"
	}
	return hex.EncodeToString(mark)
}

// parseMark returns the bytes of formatMark.
func parseMark(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	return hex.DecodeString(s)
}

// parseTime returns the time of formatTime.
func parseTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	us, err := strconv.ParseInt(s, 10, 64)
	return time.UnixMicro(us).UTC(), err
}
