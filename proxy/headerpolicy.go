package proxy

import "gatehouse/internal/httpfield"

// reserved are the names that say who asks. They are dropped from every
// request and answer, on every route, whatever the configuration sends: an
// application may trust a name that nobody here thought of.
var reserved = []string{
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups",
	"X-Remote-User", "X-Remote-Name", "X-Remote-Email", "X-Remote-Groups",
	"X-Webauth-User",
}

// reservedFamily is reserved with whatever follows.
const reservedFamily = "X-Auth-Request-"

// sessionData are the names by which applications keep values in the session.
// Nobody else may say them, and nobody else is told.
var sessionData = []string{dataHeader, setDataHeader, deleteDataHeader, expiryHeader}

// hopFields belong to one connection (RFC 9110, 7.6.1), or are made anew for
// the next.
var hopFields = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Http2-Settings", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info",
	"Content-Length", "Host",
}

// rebuilt are made from what is known of the visitor. A Proxy header becomes
// HTTP_PROXY in CGI programs (httpoxy) and never passes.
var rebuilt = []string{
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Forwarded",
	"X-Request-Id", "Cookie", "Proxy",
}

// overrides make frameworks (Symfony, Zend, IIS, Envoy) take another path or
// host than the ones that were judged. They never pass, not even from a
// trusted proxy: that one is believed about the visitor, not about rules.
var overrides = []string{
	"X-Original-Url", "X-Original-Uri", "X-Original-Path", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Envoy-Original-Path",
	"X-Original-Host", "X-Host", "X-Http-Host-Override", "X-Backend-Host",
	"X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Path", "X-Forwarded-Method", "X-Original-Method",
}

// claims say who or where the visitor is, or how he got here. They pass from a
// trusted proxy, and so does every other X-Forwarded-*.
var claims = []string{
	"True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip",
	"X-Envoy-External-Address", "X-Remote-Ip", "X-Remote-Addr", "Client-Ip", "X-Originating-Ip", "X-Proxyuser-Ip",
	"X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Original-Forwarded-For", "X-Azure-Clientip", "X-Azure-Socketip",
	"Remote-Addr", "Remote-Host", "Remote-Port",
}

const claimFamily = "X-Forwarded-"

// hostWide are fields of answers that speak for all of a host, not for the
// application that says them: where else the host can be reached, and who is
// told of what visitors do on it. A proxy in front of us would follow
// X-Accel-Redirect, and the like, to where no rule of ours was asked.
var hostWide = []string{"Alt-Svc", "Nel", "Report-To", "Reporting-Endpoints"}

// hostWideFamily is hostWide with whatever follows.
const hostWideFamily = "X-Accel-"

// methodOverrides make applications take another method than the one in the
// request line. They pass where no rule looks at the method.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// common are names of requests and answers that pass. Nothing depends on this
// list: what stands in it is found faster.
var common = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Authorization", "Cache-Control", "Content-Encoding", "Content-Language",
	"Content-Security-Policy", "Content-Type", "Date", "Dnt", "Etag", "Expires", "If-Modified-Since", "If-None-Match", "Last-Modified",
	"Location", "Origin", "Permissions-Policy", "Pragma", "Priority", "Range", "Referer", "Referrer-Policy",
	"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
	"Server", "Set-Cookie", "Strict-Transport-Security", "Upgrade-Insecure-Requests", "User-Agent", "Vary",
	"X-Content-Type-Options", "X-Frame-Options", "X-Requested-With",
}

// policyTable knows what to do with a request header by its name. It never changes.
type policyTable struct {
	policy     map[string]headerPolicy // by folded name
	families   map[string]headerPolicy // by the beginning of a folded name, up to a dash
	configured map[string]bool         // folded names by which a configuration says who asks
}

type headerPolicy byte

const (
	pass           headerPolicy = iota
	drop                        // always
	identity                    // drop, and from answers and trailers as well: nobody but we may say it
	cousin                      // drop, unless the route passes it: somebody may take it for who asks
	forwardedClaim              // drop, unless a trusted proxy sent it
	methodOverride              // drop where a rule looks at the method
	answers                     // drop from answers and trailers
)

// newNames takes the identity headers of every route.
func newNames(configured []string) *policyTable {
	n := &policyTable{policy: map[string]headerPolicy{}, families: map[string]headerPolicy{}, configured: map[string]bool{}}
	for _, name := range configured {
		n.configured[httpfield.FoldName(name)] = true
	}
	for _, name := range append([]string{"X-Forwarded-User"}, configured...) {
		for _, relative := range relativesOf(name) {
			n.policy[relative] = cousin
		}
	}
	for _, family := range families {
		n.families[family] = cousin
	}
	n.families[reservedFamily], n.families[claimFamily], n.families[hostWideFamily] = identity, forwardedClaim, answers
	for _, l := range []struct { // the last word on a name counts
		fate  headerPolicy
		names []string
	}{
		{cousin, cousins},
		{pass, common},
		{forwardedClaim, claims},
		{methodOverride, methodOverrides},
		{answers, hostWide},
		{drop, hopFields},
		{drop, rebuilt},
		{drop, []string{"Via"}}, // and made anew, with what it was in front
		{drop, overrides},
		{identity, configured},
		{identity, reserved},
		{identity, sessionData},
	} {
		for _, name := range l.names {
			n.policy[httpfield.FoldName(name)] = l.fate
		}
	}
	return n
}

// of gives the fate of a name in any spelling.
func (n *policyTable) of(name string) headerPolicy {
	if f, ok := n.policy[name]; ok { // folding changes nothing about it
		return f
	}
	name = httpfield.FoldName(name)
	if f, ok := n.policy[name]; ok {
		return f
	}
	return n.familyOf(name)
}
