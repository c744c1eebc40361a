package proxy

import "gatehouse/internal/httpfield"

// reserved are the common identity headers. They are dropped from every request and
// answer on every route, whatever identity headers are configured.
var reserved = []string{
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups",
	"X-Remote-User", "X-Remote-Name", "X-Remote-Email", "X-Remote-Groups",
	"X-Webauth-User",
}

// reservedFamily is the prefix of further reserved names.
const reservedFamily = "X-Auth-Request-"

// sessionData are the headers by which applications store values in the session.
// Clients can neither send nor see them.
var sessionData = []string{dataHeader, setDataHeader, deleteDataHeader, expiryHeader}

// hopFields belong to one connection (RFC 9110, 7.6.1) or are made anew for the
// next one. They are never forwarded.
var hopFields = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Http2-Settings", "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info",
	"Content-Length", "Host",
}

// rebuilt are made anew from what the gate knows about the client. Proxy is only
// dropped: CGI programs would see it as HTTP_PROXY (httpoxy).
var rebuilt = []string{
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip", "Forwarded",
	"X-Request-Id", "Cookie", "Proxy",
}

// overrides make frameworks (Symfony, Zend, IIS, Envoy) use another path, host or
// method than the one that the rules allowed. They never pass, not even from a
// trusted proxy, which is trusted only about the client.
var overrides = []string{
	"X-Original-Url", "X-Original-Uri", "X-Original-Path", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Envoy-Original-Path",
	"X-Original-Host", "X-Host", "X-Http-Host-Override", "X-Backend-Host",
	"X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Path", "X-Forwarded-Method", "X-Original-Method",
}

// claims say who or where the client is, or how it got here. They pass only from a
// trusted proxy, as does every other X-Forwarded-* header.
var claims = []string{
	"True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip",
	"X-Envoy-External-Address", "X-Remote-Ip", "X-Remote-Addr", "Client-Ip", "X-Originating-Ip", "X-Proxyuser-Ip",
	"X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Original-Forwarded-For", "X-Azure-Clientip", "X-Azure-Socketip",
	"Remote-Addr", "Remote-Host", "Remote-Port",
}

// claimFamily is the prefix of further claims.
const claimFamily = "X-Forwarded-"

// hostWide are answer headers that apply to the whole host, not only to the
// application that sends them: where else the host can be reached, and who receives
// reports about its visitors. They are dropped from answers.
var hostWide = []string{"Alt-Svc", "Nel", "Report-To", "Reporting-Endpoints"}

// hostWideFamily is the prefix of further ones. A proxy in front of the gate would
// follow X-Accel-Redirect to a path that no rule was applied to.
const hostWideFamily = "X-Accel-"

// methodOverrides make applications use another method than that of the request
// line. They pass only where no rule depends on the method.
var methodOverrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"}

// common are frequent names that pass. Names in no list pass too, but take longer
// to look up.
var common = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Authorization", "Cache-Control", "Content-Encoding", "Content-Language",
	"Content-Security-Policy", "Content-Type", "Date", "Dnt", "Etag", "Expires", "If-Modified-Since", "If-None-Match", "Last-Modified",
	"Location", "Origin", "Permissions-Policy", "Pragma", "Priority", "Range", "Referer", "Referrer-Policy",
	"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
	"Server", "Set-Cookie", "Strict-Transport-Security", "Upgrade-Insecure-Requests", "User-Agent", "Vary",
	"X-Content-Type-Options", "X-Frame-Options", "X-Requested-With",
}

// A policyTable maps the name of a header to its policy. It is immutable.
type policyTable struct {
	policy     map[string]headerPolicy // by folded name
	families   map[string]headerPolicy // by the prefix of a folded name, including a dash
	configured map[string]bool         // the configured identity headers, folded
}

// A headerPolicy says where a header is dropped. The zero value is pass.
type headerPolicy byte

const (
	pass            headerPolicy = iota
	drop                         // dropped from requests and trailers
	identity                     // dropped from requests, answers and trailers: only the gate sends it
	foreignIdentity              // dropped from requests, unless the route passes it
	forwardedClaim               // dropped from requests, unless a trusted proxy sent it
	methodOverride               // dropped from requests where a rule looks at the method
	answers                      // dropped from answers and trailers
)

// newPolicyTable returns the table for the configured identity headers, which are
// those of all routes.
func newPolicyTable(configured []string) *policyTable {
	n := &policyTable{policy: map[string]headerPolicy{}, families: map[string]headerPolicy{}, configured: map[string]bool{}}
	for _, name := range configured {
		n.configured[httpfield.FoldName(name)] = true
	}
	for _, name := range append([]string{"X-Forwarded-User"}, configured...) {
		for _, relative := range relatedTo(name) {
			n.policy[relative] = foreignIdentity
		}
	}
	for _, family := range foreignFamilies {
		n.families[family] = foreignIdentity
	}
	n.families[reservedFamily], n.families[claimFamily], n.families[hostWideFamily] = identity, forwardedClaim, answers
	for _, l := range []struct { // if a name is in several lists, the last one counts
		policy headerPolicy
		names  []string
	}{
		{foreignIdentity, foreignNames},
		{pass, common},
		{forwardedClaim, claims},
		{methodOverride, methodOverrides},
		{answers, hostWide},
		{drop, hopFields},
		{drop, rebuilt},
		{drop, []string{"Via"}}, // addVia appends to the one that came
		{drop, overrides},
		{identity, configured},
		{identity, reserved},
		{identity, sessionData},
	} {
		for _, name := range l.names {
			n.policy[httpfield.FoldName(name)] = l.policy
		}
	}
	return n
}

// of returns the policy of a name in any spelling.
func (n *policyTable) of(name string) headerPolicy {
	if f, ok := n.policy[name]; ok { // nearly always, because net/http's canonical spelling is that of FoldName
		return f
	}
	name = httpfield.FoldName(name)
	if f, ok := n.policy[name]; ok {
		return f
	}
	return n.familyOf(name)
}
