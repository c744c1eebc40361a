package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Limits of what a request may ask for: this is a demonstration, not a tool to
// keep a machine busy with.
const (
	maxForm     = 64 << 10
	maxDownload = 1 << 30
	maxSlow     = 30 * time.Second
	maxEvents   = 3600
)

// form shows the fields that were sent, sorted by name.
func (a *app) form(w http.ResponseWriter, r *http.Request) {
	v := newView(r)
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "The form could not be read.", http.StatusBadRequest)
			return
		}
		for name, values := range r.PostForm {
			for _, value := range values {
				v.Form = append(v.Form, field{Name: name, Value: value})
			}
		}
		slices.SortStableFunc(v.Form, func(x, y field) int { return strings.Compare(x.Name, y.Name) })
	}
	a.show(w, "form", v)
}

// file is what remains of an uploaded file: its content is not kept.
type file struct {
	Name   string
	Size   int64
	SHA256 string
}

// upload shows size and SHA-256 of each file that was sent. It reads the parts as
// they come and keeps none of them, so a file of any size needs constant memory.
func (a *app) upload(w http.ResponseWriter, r *http.Request) {
	v := newView(r)
	if r.Method == http.MethodPost {
		got, err := sums(r)
		if err != nil {
			http.Error(w, "The upload could not be read.", http.StatusBadRequest)
			return
		}
		v.Files = got
	}
	a.show(w, "upload", v)
}

// sums reads a multipart body to its end. Parts without a file name are skipped.
func sums(r *http.Request) ([]file, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, fmt.Errorf("open multipart body: %w", err)
	}
	var got []file
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read part %d: %w", len(got)+1, err)
		}
		if part.FileName() == "" {
			continue
		}
		sum := sha256.New()
		n, err := io.Copy(sum, part)
		if err != nil {
			return nil, fmt.Errorf("read part %d: %w", len(got)+1, err)
		}
		got = append(got, file{part.FileName(), n, hex.EncodeToString(sum.Sum(nil))})
	}
}

// download sends n bytes (?n=, default 1 MiB, at most 1 GiB): the letters a to p
// over and over, so that a reader can check any range. It supports ranges (RFC
// 9110, 14). With ?length=0 it sends chunks without a Content-Length.
func download(w http.ResponseWriter, r *http.Request) {
	n := number(r, "n", 1<<20, maxDownload)
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="letters.bin"`)
	if r.FormValue("length") == "0" {
		_ = http.NewResponseController(w).Flush() // fixes the framing: chunks, or the end of the connection
		_, _ = io.CopyN(w, &letters{size: n}, n)  // an error is a visitor who left
		return
	}
	http.ServeContent(w, r, "letters.bin", time.Time{}, &letters{size: n})
}

// letters is an io.ReadSeeker whose bytes are made as they are read.
type letters struct{ at, size int64 }

// alphabet is what letters repeat: 16 bytes, so that an offset is easy to check.
const alphabet = "abcdefghijklmnop"

// Read implements io.Reader.
func (l *letters) Read(p []byte) (int, error) {
	if l.at >= l.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), l.size-l.at)]
	for i := range p {
		p[i] = alphabet[(l.at+int64(i))%int64(len(alphabet))]
	}
	l.at += int64(len(p))
	return len(p), nil
}

// Seek implements io.Seeker. A position behind the end is allowed, as with files.
func (l *letters) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += l.at
	case io.SeekEnd:
		offset += l.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek letters: negative position %d", offset)
	}
	l.at = offset
	return offset, nil
}

// events sends one server-sent event a second, or one every ?every= milliseconds,
// until the visitor leaves or ?n= have been sent.
func events(w http.ResponseWriter, r *http.Request) {
	n := number(r, "n", maxEvents, maxEvents)
	every := time.Duration(number(r, "every", 1000, 60_000)) * time.Millisecond
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	tick := time.NewTicker(max(every, time.Millisecond))
	defer tick.Stop()
	for i := range n {
		_, err := fmt.Fprintf(w, "id: %d\ndata: event %d for %s\n\n", i+1, i+1, name(r)) //nolint:gosec // an event stream is not markup
		if err != nil {
			return
		}
		if err := rc.Flush(); err != nil {
			return
		}
		if i+1 == n {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// echo sends every message of a WebSocket back, with the user's name before a
// text. The library refuses an Origin whose host is not the request's Host.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, msg, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if kind == websocket.MessageText {
			msg = append([]byte(name(r)+": "), msg...)
		}
		if err := conn.Write(r.Context(), kind, msg); err != nil {
			return
		}
	}
}

// slow answers after ?s= seconds (default 3, at most 30). If the visitor leaves
// before that, it sends nothing.
func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	wait := min(time.Duration(number(r, "s", 3, 3600))*time.Second, maxSlow)
	select {
	case <-time.After(wait):
		v := newView(r)
		v.Slept = wait.String()
		a.show(w, "slow", v)
	case <-r.Context().Done():
	}
}

// broken promises 1 MiB, sends 16 KiB and aborts the connection. A visitor must
// see a failed transfer, never a short file that looks complete.
func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(1<<20))
	_, _ = w.Write(bytes.Repeat([]byte("This page breaks off in the middle.\n"), 455))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// name returns who the gate says is signed in; "nobody" if nobody is.
func name(r *http.Request) string {
	if user := r.Header.Get("X-Forwarded-User"); user != "" {
		return user
	}
	return "nobody"
}

// number returns the query parameter key. It returns def if the parameter is
// absent, is no number, or is not between 0 and most.
func number(r *http.Request, key string, def, most int64) int64 {
	n, err := strconv.ParseInt(r.URL.Query().Get(key), 10, 64)
	if err != nil || n < 0 || n > most {
		return def
	}
	return n
}
