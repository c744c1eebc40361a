package proxy

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
)

// foreignFamilies are the prefixes of headers by which other proxies and identity
// providers tell applications who made a request. They are dropped on every route
// that does not pass them explicitly, since an application may trust one that
// nobody here thought of.
var foreignFamilies = []string{
	"X-Webauth-", "Remote-", "X-Remote-", // Grafana, Gitea, Kubernetes, Authelia, CGI
	"X-Auth-Request-", "X-Token-", "X-Vouch-", // oauth2-proxy and its kin
	"X-Forwarded-User-", "X-Forwarded-Preferred-", "X-Forwarded-Client-Cert-", "X-Forwarded-Tls-Client-Cert-", "X-Forwarded-Ssl-Client-",
	"X-Pomerium-", "X-Authentik-", "X-Authelia-", "X-Authenticated-", "X-Consumer-", "X-Credential-", "Oidc-", "X-Oidc-",
	"Tailscale-User-", "Cf-Access-", "X-Goog-Authenticated-User-", "X-Goog-Iap-", "X-Amzn-Oidc-", "X-Amzn-Mtls-", "X-Ms-Client-Principal-", "X-Ms-Token-",
	"Ssl-Client-", "X-Ssl-", "X-Client-Cert-", "X-Client-Certificate-", "X-Tls-Client-", "Tls-Client-", "Client-Cert-", // client certificates
}

// foreignNames are individual headers of the same kind.
var foreignNames = []string{
	"X-Forwarded-Access-Token", "X-Forwarded-Id-Token", "X-Forwarded-Refresh-Token",
	"X-Client-Cert", "X-Client-Certificate", "X-Client-Verify", "X-Client-Dn", "X-Client-Serial", "X-Client-Fingerprint", "Client-Cert",
	"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Arr-Clientcert", "X-Ms-Client-Principal", "X-Userinfo",
}

// relatedWords make up names that are related to a configured identity header and
// that the same application is likely to trust too: besides X-Foo-User,
// X-Foo-Groups and X-Foo-User-Groups. Words that applications use for tokens and
// sessions of their own are left out.
var relatedWords = []string{
	"User", "Username", "User-Name", "Userid", "User-Id", "Uid", "Login", "Subject", "Principal", "Dn", "Upn",
	"Email", "E-Mail", "Mail", "Email-Address", "User-Email",
	"Name", "Fullname", "Full-Name", "Displayname", "Display-Name", "Firstname", "Lastname", "Given-Name", "Family-Name", "Nickname", "Preferred-Username",
	"Group", "Groups", "User-Group", "User-Groups", "Role", "Roles", "User-Role", "User-Roles", "Team", "Teams", "Org", "Orgs", "Organization",
	"Admin", "Is-Admin", "Isadmin", "Superuser", "Permission", "Permissions", "Entitlements", "Claims",
}

// relatedTo returns the folded names that are related to a configured one.
func relatedTo(name string) []string {
	name = httpfield.FoldName(name)
	bases := []string{name + "-"}
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		bases = append(bases, name[:i+1])
	}
	var all []string
	for _, base := range bases {
		for _, word := range relatedWords {
			all = append(all, base+word)
		}
	}
	return all
}

// familyOf returns the policy of the longest family that a folded name belongs to;
// pass if it belongs to none.
func (n *policyTable) familyOf(name string) headerPolicy {
	found := pass
	for i := range len(name) {
		if name[i] == '-' {
			if f, ok := n.families[name[:i+1]]; ok {
				found = f
			}
		}
	}
	return found
}

// A passList is a route's pass_headers: names and families that pass although an
// application may take them for an identity. It is immutable.
type passList struct {
	names, families []string        // folded; a family is without its *
	never           map[string]bool // folded names that the gate itself sends to the route
}

// newPassList returns the passList of a route with the identity headers own, which
// never pass.
func newPassList(list []string, own []identityHeader) passList {
	p := passList{never: map[string]bool{}}
	for _, name := range list {
		if family, ok := strings.CutSuffix(name, "*"); ok {
			p.families = append(p.families, httpfield.FoldName(family))
		} else {
			p.names = append(p.names, httpfield.FoldName(name))
		}
	}
	for _, h := range own {
		p.never[httpfield.FoldName(h.name)] = true
	}
	for _, name := range sessionData {
		p.never[name] = true
	}
	return p
}

// has reports whether a header of this name, in any spelling, passes.
func (p *passList) has(name string) bool {
	if len(p.names)+len(p.families) == 0 {
		return false
	}
	name = httpfield.FoldName(name)
	if p.never[name] {
		return false
	}
	if slices.Contains(p.names, name) {
		return true
	}
	for _, f := range p.families {
		if strings.HasPrefix(name, f) {
			return true
		}
	}
	return false
}

// checkPassHeaders checks pass_headers. Even a valid entry gets a warning, because
// clients can then claim an identity.
func (c *RouteConfig) checkPassHeaders(report *problem.List) {
	all := newPolicyTable(c.Identity.names())
	for i, pattern := range c.PassHeaders {
		key := fmt.Sprintf("pass_headers[%d]", i)
		name, family := strings.CutSuffix(pattern, "*")
		switch f := all.of(name); {
		case !httpfield.IsToken(name) || family && strings.Trim(name, "-") == "":
			report.Errorf(key, "%q is neither a name nor a family; write X-Remote-Group or X-Remote-*", pattern)
		case !family && all.configured[httpfield.FoldName(name)]:
			report.Errorf(key, "%q says who asks, by identity.headers of this route; a visitor's own must not pass beside it, remove one", pattern)
		case !family && f == identity && slices.Contains(sessionData, httpfield.FoldName(name)):
			report.Errorf(key, "%q %s", pattern, ofData)
		case !family && (f == drop || f == methodOverride):
			report.Errorf(key, "%q never passes as the visitor sent it; leave it out", pattern)
		case !family && f == pass:
			report.Warnf(key, "%q passes anyway; remove it", pattern)
		default:
			report.Warnf(key, "lets visitors say %q: an application that believes it takes them for whoever they say", pattern)
		}
	}
}
