package sessions

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse/internal/postgres"
)

// postgresValues gives the values of the columns behind key.
func postgresValues(r *Record, version uint64) []any {
	n := r.normal(version)
	return []any{
		postgresVersion(n.Version), escapeText(n.User), escapeText(n.Source), escapeText(n.Stamp),
		postgresTime(n.Created), postgresTime(n.Login), postgresTime(n.Seen), n.Expires, postgresTime(n.Limit),
		n.Idle, n.Browser, escapeText(n.Addr), escapeText(n.Agent), n.Data,
		postgresTime(n.AuthTime), n.Level, escapeTexts(n.Methods), escapeText(n.Actor), n.Proof, n.Mark,
	}
}

// scanPostgres reads a row that begins with postgresColumns. Of one that holds
// what postgresValues does not make, it returns the key, and ErrDamaged: whatever
// the columns can hold is read first, because the database sends no more rows
// once one could not be.
func scanPostgres(row postgres.Row) (e Entry, err error) {
	var created, login, seen, expires, ends, proved pgtype.Timestamptz
	var methods pgtype.FlatArray[pgtype.Text]
	var version int64
	texts := []*string{&e.User, &e.Source, &e.Stamp, &e.Addr, &e.Agent, &e.Actor}
	dest := []any{
		&e.Key, &version, texts[0], texts[1], texts[2], &created, &login, &seen, &expires, &ends,
		&e.Idle, &e.Browser, texts[3], texts[4], &e.Data,
		&proved, &e.Level, &methods, texts[5], &e.Proof, &e.Mark,
	}
	if err := row.Scan(dest...); err != nil {
		return Entry{}, err
	}
	e.Version = uint64(version) //nolint:gosec // see postgresVersion
	times := []*time.Time{&e.Created, &e.Login, &e.Seen, &e.Expires, &e.Limit, &e.AuthTime}
	var bad error
	for i, from := range []pgtype.Timestamptz{created, login, seen, expires, ends, proved} {
		*times[i], err = momentOf(from)
		bad = errors.Join(bad, err)
	}
	for _, m := range methods {
		if e.Methods = append(e.Methods, m.String); !m.Valid {
			bad = ErrDamaged
		}
	}
	for i := range e.Methods {
		texts = append(texts, &e.Methods[i])
	}
	for _, text := range texts {
		*text, err = unescapeText(*text)
		bad = errors.Join(bad, err)
	}
	if bad != nil {
		return Entry{Key: e.Key}, damaged(e.Key)
	}
	for _, b := range []*[]byte{&e.Data, &e.Proof, &e.Mark} {
		if len(*b) == 0 {
			*b = nil
		}
	}
	return e, nil
}

// postgresVersion is a version with the bits of a signed number, which is what
// the database has.
func postgresVersion(v uint64) int64 { return int64(v) } //nolint:gosec // on purpose

// postgresTime gives nil, which is null, for the zero time.
func postgresTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = stored(t)
	return &t
}

// momentOf gives what postgresTime was given.
func momentOf(t pgtype.Timestamptz) (time.Time, error) {
	switch {
	case !t.Valid:
		return time.Time{}, nil
	case t.InfinityModifier != pgtype.Finite:
		return time.Time{}, ErrDamaged
	}
	return stored(t.Time), nil
}

// escapeText gives s as text of the database, which has neither NUL nor
// anything but UTF-8: such bytes stand as \xNN, and \ as \\. Two texts that
// differ do so after it, too.
func escapeText(s string) string {
	if utf8.ValidString(s) && !strings.ContainsAny(s, "\x00\\") {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == 0, r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// escapeTexts does so with each of them; no text gives an empty array.
func escapeTexts(all []string) []string {
	escaped := make([]string, len(all))
	for i, s := range all {
		escaped[i] = escapeText(s)
	}
	return escaped
}

// unescapeText gives what escapeText was given.
func unescapeText(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for {
		plain, rest, more := strings.Cut(s, `\`)
		b.WriteString(plain)
		switch {
		case !more:
			return b.String(), nil
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			s = rest[1:]
		case len(rest) >= 3 && rest[0] == 'x':
			v, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return "", ErrDamaged
			}
			b.WriteByte(byte(v))
			s = rest[3:]
		default:
			return "", ErrDamaged
		}
	}
}
