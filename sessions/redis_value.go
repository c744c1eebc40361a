package sessions

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// encodeRedis gives a record as the scripts read it (redis/head.lua): what
// they need as text, and behind it all of it as on disk. Version, Seen, Expires
// and Mark count as the text has them: Touch changes nothing else. Format 1 had
// no Mark.
func encodeRedis(key string, r *Record) string {
	body := encodeRecord(key, r)
	var b strings.Builder
	b.Grow(192 + len(r.User) + len(body))
	b.WriteString("2 ")
	b.WriteString(strconv.FormatUint(r.Version, 10))
	for _, t := range []time.Time{r.Seen, r.Expires, r.Limit} {
		b.WriteByte(' ')
		b.WriteString(redisTime(t))
	}
	b.WriteByte(' ')
	b.WriteString(strconv.FormatInt(int64(r.Idle), 10))
	b.WriteByte(' ')
	b.WriteString(strconv.Itoa(len(r.User)))
	b.WriteByte(' ')
	b.WriteString(redisMark(r.Mark))
	b.WriteByte('\n')
	b.WriteString(r.User)
	b.Write(body)
	return b.String()
}

// decodeRedis gives the record of encodeRedis, or ErrDamaged.
func decodeRedis(key, value string) (Record, error) {
	line, rest, _ := strings.Cut(value, "\n")
	f := strings.Split(line, " ")
	old := len(f) == 7 && f[0] == "1"
	if !old && (len(f) != 8 || f[0] != "2") {
		return Record{}, damaged(key)
	}
	n, err := strconv.Atoi(f[6])
	if err != nil || n < 0 || n > len(rest) {
		return Record{}, damaged(key)
	}
	r, err := decodeRecord(key, []byte(rest[n:]))
	if err != nil || r.User != rest[:n] || redisTime(r.Limit) != f[4] || strconv.FormatInt(int64(r.Idle), 10) != f[5] {
		return Record{}, damaged(key)
	}
	var bad [4]error
	r.Version, bad[0] = strconv.ParseUint(f[1], 10, 64)
	r.Seen, bad[1] = parseRedisTime(f[2])
	r.Expires, bad[2] = parseRedisTime(f[3])
	if !old {
		r.Mark, bad[3] = parseRedisMark(f[7])
	}
	if bad != [4]error{} {
		return Record{}, damaged(key)
	}
	return r, nil
}

// readRedis returns the record that the answer of get holds: redis.Nil when there
// is none, ErrDamaged for what encodeRedis did not write, or a failure.
func readRedis(key string, answer *redis.StringCmd) (Record, error) {
	switch err := answer.Err(); {
	case noString(err):
		return Record{}, damaged(key)
	case err != nil:
		return Record{}, err
	}
	return decodeRedis(key, answer.Val())
}

// noString reports whether somebody has put a list, a set or the like where a
// record should be.
func noString(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

func damaged(key string) error { return &recordError{handle(key)} }

type recordError struct{ handle string }

func (e *recordError) Error() string { return "sessions: read " + e.handle + ": " + ErrDamaged.Error() }
func (*recordError) Unwrap() error   { return ErrDamaged }

// redisTime gives microseconds since 1970, - for the zero time.
func redisTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// redisMark gives the bytes in hexadecimal digits, - for none.
func redisMark(mark []byte) string {
	if len(mark) == 0 {
		return "-"
	}
	return hex.EncodeToString(mark)
}

func parseRedisMark(s string) ([]byte, error) {
	if s == "-" {
		return nil, nil
	}
	return hex.DecodeString(s)
}

func parseRedisTime(s string) (time.Time, error) {
	if s == "-" {
		return time.Time{}, nil
	}
	us, err := strconv.ParseInt(s, 10, 64)
	return time.UnixMicro(us).UTC(), err
}
