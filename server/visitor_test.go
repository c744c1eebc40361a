package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/config"
	"gatehouse/internal/web"
)

// A front is the visitors' server with a handler of the test's.
type front struct {
	addr string
	door *door
	tls  *tls.Config // a client's; nil: plain
}

// open starts the visitors' server. The handler stands where a proxy does,
// behind all that the server itself looks at.
func open(t *testing.T, secure bool, c *config.Config, handler http.HandlerFunc, change func(*door)) *front {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{addr: ln.Addr().String()}
	st := &site{config: c}
	if secure {
		var cert *tls.Certificate
		cert, f.tls = certificate(t)
		st.certificates = fileCertificate{cert}
		c.TLS.CertFile, c.TLS.KeyFile = "given", "given"
	}
	st.handler = web.RequestInfo(nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, info := visitorOf(r.Context()), web.From(r.Context())
		defer v.holding.end()
		if !v.hold(info, r) {
			refuseAtOnce(w, r)
			return
		}
		defer info.LetThrough()
		handler(w, r)
	}))
	s := &Server{options: Options{Config: c}, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s.site.Store(st)
	hs, d := s.visitors(context.WithoutCancel(t.Context()))
	f.door = d
	if change != nil {
		change(d)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = hs.Serve(&visitorListener{ln, d}) }()
	t.Cleanup(func() { _ = hs.Close(); <-ended })
	return f
}

func certificate(t *testing.T) (*tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
}

// dial opens a connection, with TLS where the server speaks it.
func (f *front) dial(t *testing.T, protocols ...string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if f.tls == nil {
		return c
	}
	conf := f.tls.Clone()
	conf.NextProtos = protocols
	s := tls.Client(c, conf)
	if err := s.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A speaker is an HTTP/2 client in frames of its own making.
type speaker struct {
	*http2.Framer
	conn  net.Conn
	block bytes.Buffer
	enc   *hpack.Encoder
}

func (f *front) speak(t *testing.T) *speaker {
	t.Helper()
	c := f.dial(t, "h2")
	s := &speaker{conn: c, Framer: http2.NewFramer(c, c)}
	s.enc = hpack.NewEncoder(&s.block)
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.AllowIllegalWrites = true
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = s.WriteSettings()
	return s
}

func (s *speaker) fields(list ...string) []byte {
	s.block.Reset()
	for pair := range slices.Chunk(list, 2) {
		_ = s.enc.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1], Sensitive: true})
	}
	return bytes.Clone(s.block.Bytes())
}

// get sends a request with a head of about size bytes.
func (s *speaker) get(stream uint32, size int) error {
	block := s.fields(":method", "GET", ":scheme", "https", ":authority", "example.com", ":path", "/", "x-large", strings.Repeat("~", size))
	for first := true; len(block) > 0 || first; first = false {
		n := min(len(block), 16<<10)
		var err error
		if first {
			err = s.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block[:n], EndHeaders: n == len(block), EndStream: true})
		} else {
			err = s.WriteContinuation(stream, n == len(block), block[:n])
		}
		if err != nil {
			return err
		}
		block = block[n:]
	}
	return nil
}

// status reads the answer on a stream; 0: the connection ended, or the stream
// was reset.
func (s *speaker) status(stream uint32) int {
	for {
		frame, err := s.ReadFrame()
		if err != nil {
			return 0
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				code, _ := strconv.Atoi(f.PseudoValue("status"))
				return code
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return 0
			}
		}
	}
}

func TestHTTP2OverOurOwnConnection(t *testing.T) {
	f := open(t, true, new(config.Config), func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.TLS.NegotiatedProtocol != "h2" && r.ProtoMajor == 2 || web.From(r.Context()).Scheme != "https" {
			t.Errorf("TLS %+v", r.TLS)
		}
		w.Header().Set("X-Proto", r.Proto)
	}, nil)
	for _, second := range []bool{true, false} {
		tr := &http.Transport{TLSClientConfig: f.tls.Clone(), ForceAttemptHTTP2: second, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", f.addr)
		}}
		defer tr.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if got, want := a.Header.Get("X-Proto"), map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[second]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Whoever has agreed upon one protocol does not get the other.
func TestAnotherProtocolThanWasAgreedUpon(t *testing.T) {
	f := open(t, true, new(config.Config), func(http.ResponseWriter, *http.Request) { t.Error("a request was read") }, nil)
	c := f.dial(t, "h2")
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if b, _ := io.ReadAll(c); len(b) > 0 {
		t.Errorf("answer %q", b)
	}
	c = f.dial(t, "http/1.1")
	_, _ = io.WriteString(c, http2.ClientPreface)
	if b, _ := io.ReadAll(c); bytes.HasPrefix(b, []byte{0, 0}) {
		t.Errorf("answer %q", b)
	}
}

func TestPlainHTTPToAnHTTPSServer(t *testing.T) {
	f := open(t, true, new(config.Config), nil, nil)
	f.tls = nil
	c := f.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if b, _ := io.ReadAll(c); !strings.Contains(string(b), "HTTPS server") {
		t.Errorf("answer %q", b)
	}
}

// What net/http refuses by itself says https for ever as well.
func TestHSTSOnAnswersOfNetHTTP(t *testing.T) {
	for _, secure := range []bool{true, false} {
		f := open(t, secure, new(config.Config), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, nil)
		c := f.dial(t, "http/1.1")
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\nGET / HTTP/1.1\r\nHost: example.com\r\nBad Name: x\r\n\r\n")
		br := bufio.NewReader(c)
		for i, want := range []string{"", "max-age=31536000"} {
			a, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			if !secure {
				want = ""
			}
			if got := a.Header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("TLS %t, answer %d: %q, want %q", secure, i, got, want)
			}
		}
	}
}

// An HTTP/2 header block holds memory until it ends. It is cut off after a
// time, also when it goes on a little at a time.
func TestAHeaderBlockThatDoesNotEnd(t *testing.T) {
	const limit = 300 * time.Millisecond
	const frame = "\x00\x20\x00\x09\x04\x00\x00\x00\x01" //nolint:dupword // a CONTINUATION of 8 KiB
	tests := map[string]func(s *speaker, block []byte, i int) error{
		"nothing more":        func(*speaker, []byte, int) error { return nil },
		"empty continuations": func(s *speaker, _ []byte, _ int) error { return s.WriteContinuation(1, false, nil) },
		"a byte at a time":    func(s *speaker, block []byte, i int) error { return s.WriteContinuation(1, false, block[i:i+1]) },
		"a frame's bytes one by one": func(s *speaker, _ []byte, i int) error {
			_, err := s.conn.Write([]byte(frame + strings.Repeat("~", 40))[i : i+1])
			return err
		},
	}
	for name, next := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, true, new(config.Config), func(http.ResponseWriter, *http.Request) { t.Error("a request was read") }, func(d *door) { d.times.header = limit })
			s := f.speak(t)
			block := s.fields(":method", "GET", ":scheme", "https", ":authority", "example.com", ":path", "/"+strings.Repeat("x", 1000))
			begin := time.Now()
			_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5]})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.Copy(io.Discard, s.conn)
			}()
			tick := time.NewTicker(limit / 10)
			defer tick.Stop()
			for i := 0; ; {
				select {
				case <-done:
					if took := time.Since(begin); took < limit {
						t.Errorf("cut off after %s", took)
					}
					return
				case <-tick.C:
					_ = next(s, block[5:], min(i, 40))
					i++
				}
			}
		})
	}
}

// A connection with nothing under way is no header block, however often one
// has come by it.
func TestAnIdleHTTP2ConnectionIsKept(t *testing.T) {
	const limit = time.Second
	t.Parallel()
	f := open(t, true, new(config.Config), func(http.ResponseWriter, *http.Request) {}, func(d *door) { d.times.header = limit })
	s := f.speak(t)
	for i := range uint32(2) {
		if err := s.get(2*i+1, 20<<10); err != nil {
			t.Fatal(err)
		}
		if code := s.status(2*i + 1); code != 200 {
			t.Fatalf("request %d: %d", i, code)
		}
		<-time.After(limit + 100*time.Millisecond)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	tests := []struct {
		name    string
		limits  config.LimitsConfig
		trusted string
		most    int // that are let in
	}{
		{"none", config.LimitsConfig{}, "", 6},
		{"in all", config.LimitsConfig{Connections: 3}, "", 3},
		{"from one address", config.LimitsConfig{PerAddress: 2}, "", 2},
		{"from a proxy", config.LimitsConfig{PerAddress: 2}, "127.0.0.0/8", 6},
		{"in all, from a proxy", config.LimitsConfig{Connections: 3, PerAddress: 2}, "127.0.0.0/8", 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &config.Config{Limits: tt.limits}
			if tt.trusted != "" {
				c.Trusted = web.Networks{netip.MustParsePrefix(tt.trusted)}
			}
			f := open(t, false, c, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, nil)
			ask := func(c net.Conn) bool {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
				a, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					return false
				}
				_ = a.Body.Close()
				return true
			}
			var in []net.Conn
			for range 6 {
				if c := f.dial(t); ask(c) {
					in = append(in, c)
				}
			}
			if len(in) != tt.most {
				t.Fatalf("%d connections were let in, want %d", len(in), tt.most)
			}
			// The place of one who leaves is free again.
			_ = in[0].Close()
			for deadline := time.Now().Add(10 * time.Second); ; {
				if ask(f.dial(t)) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the place of a connection that was closed is not free")
				}
				<-time.After(5 * time.Millisecond)
			}
		})
	}
}

// Many streams with large heads, sent by somebody who never takes an answer,
// hold no more than the budget has, and others are served meanwhile.
func TestHeadsOfRequestsThatAreNotJudgedAreBounded(t *testing.T) {
	const share = 1 << 20
	release := make(chan struct{})
	f := open(t, true, new(config.Config), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Large") != "" && len(r.Header.Get("X-Large")) > 1000 {
			<-release
		}
	}, func(d *door) { d.budget = newBudget(2*share, share) })
	defer close(release)
	s := f.speak(t)
	go func() {
		for i := range uint32(60) {
			if s.get(2*i+1, 40<<10) != nil {
				return
			}
		}
	}()
	refused, told := false, false // once, and told to send no more
	for !refused || !told {
		frame, err := s.ReadFrame()
		if err != nil {
			t.Fatalf("refused %t, told %t: %v", refused, told, err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			refused = refused || f.PseudoValue("status") == "503"
		case *http2.GoAwayFrame:
			told = true
		}
	}
	if held := f.door.budget.holding(); held > share || held < share/2 {
		t.Errorf("%d bytes are held, want up to %d", held, share)
	}
	other := f.speak(t)
	_ = other.get(1, 10)
	if code := other.status(1); code != 200 {
		t.Errorf("another connection: %d", code)
	}
}

// holding is what is held now.
func (b *budget) holding() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// What connections of HTTP/1 and HTTP/2 have begun to send and never finish is
// bounded as well.
func TestHeadsThatAreNotWholeAreBounded(t *testing.T) {
	const share = 256 << 10
	for _, secure := range []bool{false, true} {
		t.Run(strconv.FormatBool(secure), func(t *testing.T) {
			f := open(t, secure, new(config.Config), func(http.ResponseWriter, *http.Request) {}, func(d *door) { d.budget = newBudget(2*share, share) })
			ended := make(chan struct{}, 20)
			for range 20 {
				c := f.dial(t, "http/1.1")
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\nX: "+strings.Repeat("x", 48<<10))
				go func() {
					_, _ = io.Copy(io.Discard, c)
					ended <- struct{}{}
				}()
			}
			for range 13 { // six times 40 KiB fit
				select {
				case <-ended:
				case <-time.After(8 * time.Second):
					t.Fatalf("too few connections were cut off; %d bytes are held", f.door.budget.holding())
				}
			}
			if held := f.door.budget.holding(); held > share {
				t.Errorf("%d bytes are held, want up to %d", held, share)
			}
		})
	}
}

// Bodies that nobody reads yet count as well, and what was held is given back.
func TestBodiesOfRequestsThatAreNotJudgedAreBounded(t *testing.T) {
	const share = 256 << 10
	release := make(chan struct{})
	f := open(t, true, new(config.Config), func(http.ResponseWriter, *http.Request) { <-release }, func(d *door) { d.budget = newBudget(2*share, share) })
	s := f.speak(t)
	block := s.fields(":method", "POST", ":scheme", "https", ":authority", "example.com", ":path", "/")
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(io.Discard, s.conn) }()
	for range 40 {
		if s.WriteData(1, false, make([]byte, 16<<10)) != nil {
			break
		}
	}
	select {
	case <-done:
	case <-time.After(8 * time.Second):
		t.Errorf("the connection goes on with %d bytes", f.door.budget.holding())
	}
	close(release)
	for deadline := time.Now().Add(5 * time.Second); f.door.budget.holding() != 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are held for nobody", f.door.budget.holding())
		}
	}
}

func TestABlockWatchInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at time.Duration
		b := blockWatch{limit: 10 * time.Second, expired: func() { at = time.Since(begin) }}
		for range 50 { // requests, each whole in no time
			b.follow(true, true)
			b.follow(true, false)
			b.follow(false, false)
			time.Sleep(time.Second)
		}
		if at != 0 {
			t.Fatalf("cut off after %s", at)
		}
		begin = time.Now()
		for range 30 {
			b.follow(true, false)
			time.Sleep(time.Second)
		}
		if at != 10*time.Second {
			t.Errorf("cut off after %s, want 10 s", at)
		}
		b.stop()
	})
}
