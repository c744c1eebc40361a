package sessions

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// A record on disk is a format byte, a checksum of the key and of what
// follows, and the fields in the order of encodeRecord. The checksum is there
// because bbolt has none: a byte that a failing disk has changed must not
// make a session another person's.
const (
	recordFormat = 1
	recordHead   = 1 + 4
)

var errRecord = errors.New("the record is damaged")

// encodeRecord gives the bytes that decodeRecord reads.
func encodeRecord(key string, r *Record) []byte {
	b := make([]byte, recordHead, recordHead+128+len(r.Data)+len(r.User)+len(r.Agent))
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
	for _, s := range []string{r.User, r.Source, r.Stamp, r.Addr, r.Agent, string(r.Data)} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b[0] = recordFormat
	binary.BigEndian.PutUint32(b[1:], checksum(key, b[recordHead:]))
	return b
}

// decodeRecord gives a record that shares no memory with b, or an error for
// bytes that encodeRecord did not write for this key.
func decodeRecord(key string, b []byte) (Record, error) {
	if len(b) < recordHead || b[0] != recordFormat || binary.BigEndian.Uint32(b[1:]) != checksum(key, b[recordHead:]) {
		return Record{}, errRecord
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
	if data := d.bytes(); len(data) > 0 {
		r.Data = append([]byte(nil), data...)
	}
	if d.bad || len(d.rest) > 0 {
		return Record{}, errRecord
	}
	return r, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, body)
}

// noTime stands for the zero time.
const noTime = math.MinInt64

// timeBits gives microseconds since 1970 as bits that sort like the times.
func timeBits(t time.Time) uint64 {
	us := int64(noTime)
	if !t.IsZero() {
		us = t.UnixMicro()
	}
	return uint64(us) ^ 1<<63 //nolint:gosec // the sign bit is flipped on purpose
}

// bitsTime gives the time of timeBits.
func bitsTime(bits uint64) time.Time {
	us := int64(bits ^ 1<<63) //nolint:gosec // the sign bit is flipped back
	if us == noTime {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// decoder reads fields until one is not there.
type decoder struct {
	rest []byte
	bad  bool
}

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

// skip takes the n bytes that were read; none or fewer is damage.
func (d *decoder) skip(n int) {
	if n <= 0 {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}
