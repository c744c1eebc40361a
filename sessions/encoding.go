package sessions

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

// An encoded record is a format byte, a checksum of the key and of the fields, and the
// fields in the order of appendRecord. The checksum detects damage, also in lists, which
// cannot authenticate what they read. It does not protect against tampering. Format 1
// ends after Data, and format 2 before Host. A record without Host and Hosts is written
// in format 2, which programs of the version before read.
const (
	recordFormat      = 2
	recordFormatHosts = 3
	recordFormatOld   = 1
	recordHead        = 1 + 4
)

// Bounds on the lists of a record; more is damage.
const (
	methodsMax = 16
	hostsMax   = 100
)

// EncodeRecord returns the record as bytes, for stores that keep bytes, in the oldest
// format that can hold it, but not in format 1. The checksum includes the key, so bytes
// that are found under another key are ErrDamaged.
func EncodeRecord(key string, r *Record) []byte {
	b := make([]byte, recordHead, recordHead+256+len(r.Data)+len(r.User)+len(r.Agent))
	b = appendRecord(b, r)
	b[0] = recordFormat
	if r.spans() {
		b[0] = recordFormatHosts
	}
	binary.BigEndian.PutUint32(b[1:], checksum(key, b[recordHead:]))
	return b
}

// appendRecord appends all fields, each with its length or of a fixed size: no two
// different records have the same bytes. That matters because proof signs these bytes. The
// order is a format on disk; new fields need a new format number.
func appendRecord(b []byte, r *Record) []byte {
	b = binary.AppendUvarint(b, r.Version)
	for _, t := range []time.Time{r.Created, r.Login, r.Seen, r.Expires, r.Limit} {
		b = binary.BigEndian.AppendUint64(b, timeBits(t))
	}
	b = binary.AppendVarint(b, int64(r.Idle))
	if r.Browser {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, s := range []string{r.User, r.Source, r.Stamp, r.Addr, r.Agent} {
		b = appendText(b, s)
	}
	b = appendText(b, r.Data)
	b = binary.BigEndian.AppendUint64(b, timeBits(r.AuthTime))
	b = binary.AppendVarint(b, int64(r.Level))
	b = binary.AppendUvarint(b, uint64(len(r.Methods)))
	for _, s := range r.Methods {
		b = appendText(b, s)
	}
	b = appendText(b, r.Actor)
	b = appendText(b, r.Proof)
	b = appendText(b, r.Mark)
	if !r.spans() {
		return b
	}
	b = appendText(b, r.Host)
	b = binary.AppendUvarint(b, uint64(len(r.Hosts)))
	for _, h := range r.Hosts {
		b = appendText(appendText(b, h.Host), h.Key)
	}
	return b
}

// spans reports whether the record has anything that only format 3 can hold.
func (r *Record) spans() bool { return r.Host != "" || len(r.Hosts) > 0 }

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// DecodeRecord returns the record that EncodeRecord has encoded for the key, in any format. It returns ErrDamaged for any other bytes. The record shares
// no memory with b.
func DecodeRecord(key string, b []byte) (Record, error) {
	if len(b) < recordHead || b[0] < recordFormatOld || b[0] > recordFormatHosts ||
		binary.BigEndian.Uint32(b[1:]) != checksum(key, b[recordHead:]) {
		return Record{}, ErrDamaged
	}
	d := decoder{rest: b[recordHead:]}
	r := Record{Version: d.uvarint()}
	for _, t := range []*time.Time{&r.Created, &r.Login, &r.Seen, &r.Expires, &r.Limit} {
		*t = d.time()
	}
	r.Idle = time.Duration(d.varint())
	r.Browser = d.byte() == 1
	for _, s := range []*string{&r.User, &r.Source, &r.Stamp, &r.Addr, &r.Agent} {
		*s = string(d.bytes())
	}
	r.Data = d.copied()
	if b[0] > recordFormatOld {
		d.proofs(&r)
	}
	if b[0] == recordFormatHosts {
		d.hosts(&r)
		d.bad = d.bad || !r.spans() // it would be of format 2
	}
	if d.bad || len(d.rest) > 0 {
		return Record{}, ErrDamaged
	}
	return r, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the CRC-32C of the key and what follows it.
func checksum(key string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, body)
}

// noTime stands for the zero time.
const noTime = math.MinInt64

// timeBits returns the microseconds since 1970 as bits that sort like the times, also
// before 1970. The zero time sorts first.
func timeBits(t time.Time) uint64 {
	us := int64(noTime)
	if !t.IsZero() {
		us = t.UnixMicro()
	}
	return uint64(us) ^ 1<<63 //nolint:gosec // the sign bit is flipped on purpose
}

// bitsTime is the inverse of timeBits. The time is in UTC.
func bitsTime(bits uint64) time.Time {
	us := int64(bits ^ 1<<63) //nolint:gosec // the sign bit is flipped back
	if us == noTime {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// A decoder reads fields from rest. After the first one that cannot be read, bad is set and
// all later fields are zero, so callers check once, at the end.
type decoder struct {
	rest []byte
	bad  bool
}

// proofs reads the fields that format 1 does not have.
func (d *decoder) proofs(r *Record) {
	r.AuthTime, r.Level = d.time(), int(d.varint())
	n := d.uvarint()
	if n > methodsMax {
		d.skip(0)
		return
	}
	for range n {
		r.Methods = append(r.Methods, string(d.bytes()))
	}
	r.Actor = string(d.bytes())
	r.Proof, r.Mark = d.copied(), d.copied()
}

// hosts reads the fields that only format 3 has.
func (d *decoder) hosts(r *Record) {
	r.Host = string(d.bytes())
	n := d.uvarint()
	if n > hostsMax {
		d.skip(0)
		return
	}
	for range n {
		r.Hosts = append(r.Hosts, HostID{Host: string(d.bytes()), Key: string(d.bytes())})
	}
}

// copied returns a copy of the next field of bytes; nil if it is empty.
func (d *decoder) copied() []byte { return append([]byte(nil), d.bytes()...) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *decoder) time() time.Time {
	b := d.take(8)
	if b == nil {
		return time.Time{}
	}
	return bitsTime(binary.BigEndian.Uint64(b))
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.skip(0)
		return nil
	}
	return d.take(int(n)) //nolint:gosec // not more than len(d.rest)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.skip(0)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// skip removes the n bytes that have been read. n <= 0 means that they could not be read.
func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}
