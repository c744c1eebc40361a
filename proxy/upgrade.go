package proxy

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// negotiateUpgrade is the request filter that asks the upstream to switch
// protocols, if the client asks unambiguously and the route allows the protocol.
// Any other Upgrade is ignored and the request continues as an ordinary one, as
// Upgrade is defined (RFC 9110, 7.8).
//
// A WebSocket that a page of another site opens is refused (403): the browser would
// send this site's cookies with it.
func negotiateUpgrade(s *exchange, out *outgoing) error {
	protocol := requestedUpgrade(s.in)
	if protocol == "" || !s.route.hasUpgrade(protocol) {
		dropWebSocket(&out.Header)
		return nil
	}
	if strings.EqualFold(protocol, webSocket) {
		if !handshake(s.in.Header) {
			dropWebSocket(&out.Header)
			return nil
		}
		s.active.webSocket = true
		if err := checkOrigin(s); err != nil {
			return web.Fail(http.StatusForbidden, "This page may not open a connection here.", err)
		}
	}
	out.Upgrade = protocol
	return nil
}

// requestedUpgrade returns the protocol that the client asks for, in its spelling;
// "" if there is none, or if the request could not be granted.
func requestedUpgrade(in *http.Request) string {
	values := in.Header["Upgrade"]
	switch {
	case len(values) != 1 || !httpfield.IsProtocol(values[0]) || !httpfield.HasToken(in.Header["Connection"], "upgrade"):
		return ""
	case in.Method != http.MethodGet || in.ProtoMajor != 1 || in.ProtoMinor != 1:
		return ""
	case in.ContentLength != 0 || len(in.TransferEncoding) > 0:
		return ""
	case strings.EqualFold(values[0], "h2c"), len(values[0]) >= 3 && strings.EqualFold(values[0][:3], "tls"):
		return ""
	}
	return values[0]
}

// handshake reports whether a server that follows RFC 6455, 4.2.1 would switch.
// Otherwise the upstream is not asked at all: a proxy on the way could take its
// refusal for an open tunnel.
func handshake(h http.Header) bool {
	version, key := h["Sec-Websocket-Version"], h["Sec-Websocket-Key"]
	return len(version) == 1 && version[0] == "13" && len(key) == 1 && key[0] != ""
}

// dropWebSocket removes the fields of a WebSocket handshake that does not take
// place.
func dropWebSocket(h *engine.Header) {
	*h = slices.DeleteFunc(*h, func(f engine.Field) bool { return strings.HasPrefix(f.Name, "Sec-Websocket-") })
}

// checkOrigin returns an error, which it logs and audits, unless the page that
// opens the WebSocket has the visitor's origin or one of the route's origins.
// Chromium sends no Sec-Fetch-Site with WebSockets, so there Host must include the
// port.
func checkOrigin(s *exchange) error {
	o := httpfield.Origin{Scheme: s.info.Scheme, Host: s.host.Text, Port: s.info.Port}
	err := o.Check(s.in.Header, s.route.origins...)
	if err == nil {
		return nil
	}
	s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "websocket refused",
		slog.String("request_id", s.info.ID), slog.String("client", s.info.Client.String()), slog.String("route", s.route.label), slog.Any("reason", err))
	s.p.audit.Event(s.in.Context(), audit.CSRFFailure,
		slog.String("request_id", s.info.ID), slog.String("user", s.info.User), slog.String("client", s.info.Client.String()),
		slog.String("route", s.route.label), slog.String("reason", err.Error()))
	return err
}
