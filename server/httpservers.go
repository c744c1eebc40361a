package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gatehouse/config"
	"gatehouse/server/admin"
)

// Limits of every visitor's connection. They cannot be configured.
const (
	maxHeaderBytes    = 64 << 10
	maxStreams        = 100      // of one HTTP/2 connection
	maxFrame          = 16 << 10 // of HTTP/2: net/http keeps a buffer for the largest one it has read
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
)

// visitors returns the server for visitors (HTTP/1.1, and HTTP/2 under TLS) and
// the door through which their connections have to come. Requests get contexts
// from live, so they outlast the beginning of a stop.
//
// HTTP/2 is never spoken in the clear, whatever a client asks for: unencrypted
// HTTP/2 is on only if TLS is, for connections whose TLS ends in the visitor
// below net/http.
func (s *Server) visitors(live context.Context) (*http.Server, *door) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c := visitorOf(r.Context()); c != nil {
				r.TLS = c.state
				c.begin(!r.ProtoAtLeast(1, 1))
			}
			s.conns.lastAnswer(w)
			s.site.Load().handler.ServeHTTP(w, r) // loaded once: a request sees one configuration from beginning to end
		}),
		Protocols:         protocols,
		ConnState:         s.conns.track,
		ConnContext:       withVisitor,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, MaxReceiveBufferPerConnection: maxData, MaxReceiveBufferPerStream: maxData,
		},
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return live },
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var secure *tls.Config
	if s.options.Config.TLS.Enabled() {
		protocols.SetUnencryptedHTTP2(true)
		secure = tlsConfig(func() certificateSource { return s.site.Load().certificates })
	}
	return hs, newDoor(secure, func() *config.Config { return s.site.Load().config }, s.log)
}

// control returns the handler of the control socket (package admin).
func (s *Server) control() http.Handler {
	b := s.shared.storage.backend(s.site.Load)
	b.Server, b.Audit, b.Log = s, s.shared.audit, s.log
	return admin.Handler(b)
}

// inside returns a server for a listener that visitors cannot reach: the control
// socket, or admin.listen.
func (s *Server) inside(live context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return live },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
