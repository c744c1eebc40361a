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

// encode returns the value under which a record is stored: a line of text with the fields
// that the Lua scripts use (lua/head.lua), then the user, then the whole record as
// EncodeRecord returns it. Version, Seen, Expires and Mark are in both; the line wins,
// because Touch rewrites the line only. The fields of the line and their order are a
// format on disk: change them only with a new format number, here and in lua/head.lua.
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

// decode returns the record that encode has encoded for the key. It returns ErrDamaged for
// anything else, and also where the line and the record contradict each other in a field
// that Touch does not change. It reads format 1 as well, whose line has no mark.
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

// readRecord returns the record in the answer to get. The error is redis.Nil if there is
// none, ErrDamaged if it cannot be decoded or is no string, and otherwise the client's.
// It does not look at whether the record has expired.
func readRecord(key string, answer *redis.StringCmd) (sessions.Record, error) {
	switch err := answer.Err(); {
	case noString(err):
		return sessions.Record{}, damaged(key)
	case err != nil:
		return sessions.Record{}, err
	}
	return decode(key, answer.Val())
}

// noString reports whether err means that the key holds a list, a set or another type
// instead of a string. Only somebody else can have put it there.
func noString(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// damaged returns ErrDamaged for the session under key. It names the public handle
// rather than the key, because errors go to the log.
func damaged(key string) error {
	return fmt.Errorf("sessions: read %s: %w", sessions.Handle(key), sessions.ErrDamaged)
}

// formatTime returns t in microseconds since 1970, or "-" for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// formatMark returns the mark in hexadecimal digits, or "-" for none.
func formatMark(mark []byte) string {
	if len(mark) == 0 {
		return "-"
	}
	return hex.EncodeToString(mark)
}

// parseMark is the inverse of formatMark.
func parseMark(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	return hex.DecodeString(s)
}

// parseTime is the inverse of formatTime. The time is in UTC and has no part below a
// microsecond.
func parseTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	us, err := strconv.ParseInt(s, 10, 64)
	return time.UnixMicro(us).UTC(), err
}
