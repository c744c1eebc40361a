package pgstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"gatehouse/internal/postgres"
	"gatehouse/sessions"
)

// rowValues returns the values of all columns but key.
func rowValues(r *sessions.Record, version uint64) []any {
	n := r.Stored(version)
	return []any{
		signedVersion(n.Version), escapeText(n.User), escapeText(n.Source), escapeText(n.Stamp),
		nullTime(n.Created), nullTime(n.Login), nullTime(n.Seen), n.Expires, nullTime(n.Limit),
		n.Idle, n.Browser, escapeText(n.Addr), escapeText(n.Agent), n.Data,
		nullTime(n.AuthTime), n.Level, escapeTexts(n.Methods), escapeText(n.Actor), n.Proof, n.Mark,
		escapeText(n.Host), escapeTexts(pairs(n.Hosts)),
	}
}

// pairs returns host and key of each, in turn.
func pairs(hosts []sessions.HostID) (texts []string) {
	for _, h := range hosts {
		texts = append(texts, h.Host, h.Key)
	}
	return texts
}

// scanRow reads a row of columns. If it holds what rowValues does not make, scanRow returns
// the key and ErrDamaged. It first reads whatever the columns can hold, because the driver
// ends the answer after a row that could not be read.
func scanRow(row postgres.Row) (e sessions.Entry, err error) {
	var created, login, seen, expires, ends, proved pgtype.Timestamptz
	var methods, hosts pgtype.FlatArray[pgtype.Text]
	var version int64
	texts := []*string{&e.User, &e.Source, &e.Stamp, &e.Addr, &e.Agent, &e.Actor, &e.Host}
	dest := []any{
		&e.Key, &version, texts[0], texts[1], texts[2], &created, &login, &seen, &expires, &ends,
		&e.Idle, &e.Browser, texts[3], texts[4], &e.Data,
		&proved, &e.Level, &methods, texts[5], &e.Proof, &e.Mark,
		texts[6], &hosts,
	}
	if err := row.Scan(dest...); err != nil {
		return sessions.Entry{}, err
	}
	e.Version = uint64(version) //nolint:gosec // see signedVersion
	times := []*time.Time{&e.Created, &e.Login, &e.Seen, &e.Expires, &e.Limit, &e.AuthTime}
	var bad error
	for i, from := range []pgtype.Timestamptz{created, login, seen, expires, ends, proved} {
		*times[i], err = timeOf(from)
		bad = errors.Join(bad, err)
	}
	for _, m := range methods {
		if e.Methods = append(e.Methods, m.String); !m.Valid {
			bad = sessions.ErrDamaged
		}
	}
	for i := range e.Methods {
		texts = append(texts, &e.Methods[i])
	}
	if len(hosts)%2 != 0 {
		hosts, bad = nil, sessions.ErrDamaged
	}
	for i := 0; i < len(hosts); i += 2 {
		if e.Hosts = append(e.Hosts, sessions.HostID{Host: hosts[i].String, Key: hosts[i+1].String}); !hosts[i].Valid || !hosts[i+1].Valid {
			bad = sessions.ErrDamaged
		}
	}
	for i := range e.Hosts {
		texts = append(texts, &e.Hosts[i].Host, &e.Hosts[i].Key)
	}
	for _, text := range texts {
		*text, err = unescapeText(*text)
		bad = errors.Join(bad, err)
	}
	if bad != nil {
		return sessions.Entry{Key: e.Key}, fmt.Errorf("sessions: read %s: %w", sessions.Handle(e.Key), sessions.ErrDamaged)
	}
	for _, b := range []*[]byte{&e.Data, &e.Proof, &e.Mark} {
		if len(*b) == 0 {
			*b = nil
		}
	}
	return e, nil
}

// signedVersion returns the version as a signed number with the same bits, because the
// database has no other.
func signedVersion(v uint64) int64 { return int64(v) } //nolint:gosec // on purpose

// nullTime returns the time, or nil, which is null, for the zero time.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = micros(t)
	return &t
}

// micros returns t as the database keeps times, and Record.Stored does: in UTC,
// in whole microseconds.
func micros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// timeOf returns the time of nullTime, or ErrDamaged.
func timeOf(t pgtype.Timestamptz) (time.Time, error) {
	switch {
	case !t.Valid:
		return time.Time{}, nil
	case t.InfinityModifier != pgtype.Finite:
		return time.Time{}, sessions.ErrDamaged
	}
	return micros(t.Time), nil
}

// escapeText returns s as text of the database, which can hold no NUL and only UTF-8: other
// bytes are written as \xNN, and \ as \\. Different texts stay different.
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

// escapeTexts escapes each text. It returns an empty array, not null, for none.
func escapeTexts(all []string) []string {
	escaped := make([]string, len(all))
	for i, s := range all {
		escaped[i] = escapeText(s)
	}
	return escaped
}

// unescapeText returns the text of which escapeText has returned s, or ErrDamaged.
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
				return "", sessions.ErrDamaged
			}
			b.WriteByte(byte(v))
			s = rest[3:]
		default:
			return "", sessions.ErrDamaged
		}
	}
}
