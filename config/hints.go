package config

import (
	"strings"

	"gatehouse/internal/suggest"
)

// A hint says what to write instead of words that people know from other
// programs.
type hint struct {
	section string // the section in which they are, without indexes; "": at the top, "*": anywhere
	remedy  string
	words   string // separated by spaces
}

// hints are tried in their order; the first that fits wins. A remedy that begins
// with "write KEY" makes the reporter treat that key as given: see unknown.
var hints = []hint{
	{"", "write it in a route, below routes", "upstream access"},
	{"", "write upstream in each of routes", "upstreams"},
	{"", "write upstream in a route, below routes", "backend"},
	{"", "write host in each of routes", "hosts"},
	{"", "write listen", "http_address address bind port addr server"},
	{"", "write trusted_proxies", "reverse_proxy"},
	{"", "write access in a route, below routes", "rules policy"},
	{"", "write identity.headers", "user_header headers"},
	{"", "write users", "accounts"},
	{"", "write log.level: debug", "debug"},
	{"", "write log.level", "log_level"},
	{"", "hashes are made with gatehouse hash; argon2id's cost is fixed", "password"},
	{"", "write session.store", "store"},
	{"", "write data_dir", "database"},
	{"", "write admin.listen", "metrics"},
	{"", "write session", "sessions"},
	{"tls", "write cert_file", "cert certificate certs"},
	{"tls", "write key_file", "key private_key"},
	{"session", "write secrets, a list", "key"},
	{"session", "write secrets", "keys"},
	{"session", "write max_age", "ttl absolute expire lifetime cookie_age"},
	{"session", "write idle_timeout", "timeout idle inactivity"},
	{"session", "write remember_me", "remember"},
	{"session", "write cookie.name", "name"},
	{"session", "write store", "type"},
	{"cookie", "write session.secrets", "secret"},
	{"cookie", "write session.max_age", "expire max_age"},
	{"cookie", "the cookie is always for /; leave it out", "path"},
	{"cookie", "the cookie is always HttpOnly; leave it out", "http_only httponly"},
	{"cookie", "write session.idle_timeout", "refresh"},
	{"users[]", "write password_hash, made with gatehouse hash", "password"},
	{"users[]", "write password_hash", "hash"},
	{"users[]", "write name", "username user"},
	{"users[]", "write groups", "role roles"},
	{"users[]", "write display_name", "displayname full_name"},
	{"users[]", "write email", "mail"},
	{"users[]", "write disabled", "active"},
	{"routes[]", "write upstream", "to backend url target proxy_pass destination"},
	{"routes[]", "write upstreams", "backends targets"},
	{"routes[]", "write sticky", "sticky_cookie affinity"},
	{"routes[]", "write health", "health_check healthcheck"},
	{"routes[]", "certificates of upstreams are always verified; write upstream_tls.ca_file", "insecure_skip_verify tls_skip_verify ssl_insecure_skip_verify"},
	{"routes[].upstream_tls", "certificates of upstreams are always verified; write ca_file", "insecure_skip_verify skip_verify insecure verify"},
	{"routes[].upstream_tls", "write ca_file", "ca root_ca"},
	{"routes[]", "write host and path", "from match"},
	{"routes[]", "write host", "domain hostname"},
	{"routes[]", "write host; a route has one, *.example.com has many", "hosts"},
	{"routes[]", "write path", "prefix location"},
	{"routes[]", "write access", "policy rules allow acl"},
	{"routes[]", "write strip_prefix", "strip_path"},
	{"routes[]", "write host_header: keep", "preserve_host preserve_host_header pass_host_header"},
	{"routes[]", "write timeouts", "timeout"},
	{"routes[]", "write identity.headers", "headers"},
	{"routes[]", "write upgrade: [websocket]", "websocket websockets allow_websockets"},
	{"routes[]", "write max_body", "body_size"},
	{"routes[]", "write access: [{public: true}]", "public allow_public_unauthenticated_access"},
	{"routes[]", "write it in a rule of access", "groups users"},
	{"routes[].access[]", "write users, a list", "user"},
	{"routes[].access[]", "write groups, a list", "group"},
	{"routes[].access[]", "write groups", "role roles"},
	{"routes[].access[]", "write methods, a list", "method"},
	{"routes[].access[]", "write networks, a list", "network"},
	{"routes[].access[]", "write networks", "ip"},
	{"routes[].access[]", "write path", "prefix"},
	{"routes[].access[]", "write optional: true", "anonymous allow_anonymous"},
	{"routes[].access[]", "write public: true, optional: true, deny: true, users or groups", "policy access"},
	{"routes[].access[]", "write public: true, users or groups; {} lets whoever is signed in pass", "allow"},
	{"routes[].access[]", "write path; a rule has one", "paths"},
	{"routes[].access[]", "write path or exact; there are no patterns", "regex"},
	{"routes[].access[]", "write host in the route", "domain"},
	{"identity", "write headers", "user_header user header"},
	{"log", "write level: debug", "verbose debug"},
	{"log", "write format: json", "json"},
	{"log", "the log goes to stderr; leave it out", "file output"},
	{"login", "write throttle", "rate_limit"},
	{"login", "write throttle.per_account", "max_attempts"},
	{"login", "write template", "page"},
	{"*", "write session.secrets, or nothing: a key is made at the first start", "cookie_secret secret_key"},
	{"*", "write who may pass as users and groups in the access of a route", "email_domains authenticated_emails_file"},
	{"*", "Gatehouse signs people in itself, with users and gatehouse user add", "client_id client_secret oidc_issuer_url provider"},
	{"*", "write a rule with public: true in the access of a route", "skip_auth_routes skip_auth_regex skip_auth allow_public_unauthenticated_access"},
	{"*", "write a rule in the access of a route", "whitelist"},
	{"*", "write access: [{}], or leave access out: whoever is signed in may pass", "allow_any_authenticated_user"},
	{"*", "one file holds the whole configuration", "include"},
	{"*", "certificates by ACME come in a later version; write cert_file and key_file", "acme"},
	{"*", "LDAP comes in a later version; write users, or use gatehouse user add", "ldap"},
}

// hintFor returns the remedy for a word in a section; "" if there is none.
// Hyphens and capitals in the word make no difference.
func hintFor(word, section string) string {
	word, section = suggest.Spell(word), indexes.ReplaceAllString(section, "[]")
	for _, h := range hints {
		if h.section != section && h.section != "*" {
			continue
		}
		for w := range strings.FieldsSeq(h.words) {
			if w == word {
				return h.remedy
			}
		}
	}
	return ""
}
