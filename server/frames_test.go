package server

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// written is what a client says in frames.
func written(f func(*http2.Framer)) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&b, nil)
	framer.AllowIllegalWrites = true
	f(framer)
	return b.Bytes()
}

func TestFramesAreCounted(t *testing.T) {
	said := written(func(f *http2.Framer) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 100)})
		_ = f.WriteContinuation(1, false, make([]byte, 20))
		_ = f.WriteContinuation(1, true, make([]byte, 3))
		_ = f.WriteData(1, true, make([]byte, 5000))
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, EndStream: true})
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: make([]byte, 7)})
	})
	for step := 1; step <= len(said); step += 1 + step/3 {
		var f frames
		var sum frameCount
		for p := said; len(p) > 0; {
			n, err := f.feed(p[:min(step, len(p))])
			if err != nil {
				t.Fatal(err)
			}
			sum = frameCount{sum.blocks + n.blocks, sum.header + n.header, sum.data + n.data}
			p = p[min(step, len(p)):]
		}
		if want := (frameCount{3, 130, 5000}); sum != want || !f.waiting() {
			t.Errorf("%d bytes at a time: %+v, want %+v; waiting %t", step, sum, want, f.waiting())
		}
	}
}

func TestWhatAFrameIsWaitedFor(t *testing.T) {
	block := func(end bool) []byte {
		return written(func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 30), EndHeaders: end})
		})
	}
	data := written(func(f *http2.Framer) { _ = f.WriteData(1, true, make([]byte, 30)) })
	tests := []struct {
		name string
		said []byte
		want bool
	}{
		{"nothing", nil, false},
		{"a part of the preface", []byte("PRI"), true},
		{"the preface", []byte(clientPreface), false},
		{"a part of a frame's header", data[:len(clientPreface)+3], true},
		{"a part of a body", data[:len(data)-9], false},
		{"a part of a header block", block(true)[:len(block(true))-1], true},
		{"a header block", block(true), false},
		{"a header block that goes on", block(false), true},
	}
	for _, tt := range tests {
		var f frames
		if _, err := f.feed(tt.said); err != nil || f.waiting() != tt.want {
			t.Errorf("%s: waiting %t, %v, want %t", tt.name, f.waiting(), err, tt.want)
		}
	}
	var f frames
	if _, err := f.feed([]byte("GET / HTTP/1.1\r\n")); err == nil {
		t.Error("HTTP/1.1 was taken for HTTP/2")
	}
}

// However the bytes are cut, the count is the same, and as much as there is.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x03\x01\x00\x00\x00\x00\x01abc\x00\x00\x01\x09\x04\x00\x00\x00\x01d"), 3)
	f.Add([]byte("\x00\x00\x00\x01\x04\x00\x00\x00\x01\x00\x00\x05\x00\x00\x00\x00\x00\x01hello"), 1)
	f.Fuzz(func(t *testing.T, said []byte, step int) {
		step = max(1, step%64)
		said = append([]byte(clientPreface), said...)
		var whole, parts frames
		want, err := whole.feed(said)
		var got frameCount
		for p := said; len(p) > 0; p = p[min(step, len(p)):] {
			n, partErr := parts.feed(p[:min(step, len(p))])
			if partErr != nil || err != nil {
				t.Fatal(partErr, err)
			}
			got = frameCount{got.blocks + n.blocks, got.header + n.header, got.data + n.data}
		}
		if got != want || parts.waiting() != whole.waiting() || want.header+want.data > len(said) {
			t.Errorf("%+v, in parts %+v", want, got)
		}
	})
}
