package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// foreign are words that people bring along from elsewhere, or from habit,
// by the section in which they stand ("" for anywhere), and what to write
// instead.
var foreign = map[string]map[string]string{
	"": {
		"cookie_secret": "write session.secrets, or nothing: a key is made at the first start", "secret_key": "write session.secrets, or nothing: a key is made at the first start",
		"email_domains": "write who may pass as users and groups in the access of a route", "authenticated_emails_file": "write who may pass as users and groups in the access of a route",
		"client_id": "Gatehouse signs people in itself, with users and gatehouse user add", "client_secret": "Gatehouse signs people in itself, with users and gatehouse user add",
		"oidc_issuer_url": "Gatehouse signs people in itself, with users and gatehouse user add", "provider": "Gatehouse signs people in itself, with users and gatehouse user add",
		"skip_auth_routes": "write a rule with public: true in the access of a route", "skip_auth_regex": "write a rule with public: true in the access of a route",
		"skip_auth": "write a rule with public: true in the access of a route", "allow_public_unauthenticated_access": "write a rule with public: true in the access of a route",
		"whitelist": "write a rule in the access of a route", "allow_any_authenticated_user": "write access: [{}], or leave access out: whoever is signed in may pass",
		"include": "one file holds the whole configuration", "acme": "certificates by ACME come in a later version; write cert_file and key_file", "ldap": "LDAP comes in a later version; write users, or use gatehouse user add",
	},
	"<top>": {
		"upstream": "write it in a route, below routes", "upstreams": "write upstream in each of routes", "backend": "write upstream in a route, below routes", "hosts": "write host in each of routes",
		"http_address": "write listen", "address": "write listen", "bind": "write listen", "port": "write listen", "addr": "write listen", "server": "write listen",
		"reverse_proxy": "write trusted_proxies", "rules": "write access in a route, below routes", "access": "write it in a route, below routes", "policy": "write access in a route, below routes",
		"user_header": "write identity.headers", "headers": "write identity.headers", "accounts": "write users", "debug": "write log.level: debug", "log_level": "write log.level",
		"password": "hashes are made with gatehouse hash; argon2id's cost is fixed", "store": "write session.store", "database": "write data_dir", "metrics": "write admin.listen", "sessions": "write session",
	},
	"tls": {
		"cert": "write cert_file", "certificate": "write cert_file", "key": "write key_file", "certs": "write cert_file", "private_key": "write key_file",
	},
	"session": {
		"key": "write secrets, a list", "keys": "write secrets", "ttl": "write max_age", "absolute": "write max_age", "expire": "write max_age", "lifetime": "write max_age", "timeout": "write idle_timeout",
		"idle": "write idle_timeout", "inactivity": "write idle_timeout", "remember": "write remember_me", "cookie_age": "write max_age", "name": "write cookie.name", "type": "write store",
	},
	"cookie": {
		"secret": "write session.secrets", "expire": "write session.max_age", "max_age": "write session.max_age", "path": "the cookie is always for /; leave it out",
		"http_only": "the cookie is always HttpOnly; leave it out", "httponly": "the cookie is always HttpOnly; leave it out", "refresh": "write session.idle_timeout",
	},
	"users[]": {
		"password": "write password_hash, made with gatehouse hash", "hash": "write password_hash", "username": "write name", "user": "write name", "role": "write groups", "roles": "write groups",
		"displayname": "write display_name", "full_name": "write display_name", "mail": "write email", "active": "write disabled",
	},
	"routes[]": {
		"to": "write upstream", "backend": "write upstream", "url": "write upstream", "target": "write upstream", "proxy_pass": "write upstream", "upstreams": "write upstream; a route has one",
		"destination": "write upstream", "from": "write host and path", "domain": "write host", "hosts": "write host; a route has one, *.example.com has many", "hostname": "write host",
		"prefix": "write path", "location": "write path", "match": "write host and path", "policy": "write access", "rules": "write access", "allow": "write access", "acl": "write access",
		"strip_path": "write strip_prefix", "preserve_host": "write host_header: keep", "preserve_host_header": "write host_header: keep", "pass_host_header": "write host_header: keep", "timeout": "write timeouts",
		"headers": "write identity.headers", "websocket": "write upgrade: [websocket]", "websockets": "write upgrade: [websocket]", "allow_websockets": "write upgrade: [websocket]", "body_size": "write max_body",
		"public": "write access: [{public: true}]", "allow_public_unauthenticated_access": "write access: [{public: true}]", "groups": "write it in a rule of access", "users": "write it in a rule of access",
	},
	"routes[].access[]": {
		"user": "write users, a list", "group": "write groups, a list", "role": "write groups", "roles": "write groups", "method": "write methods, a list", "network": "write networks, a list", "ip": "write networks",
		"prefix": "write path", "policy": "write public: true, deny: true, users or groups", "allow": "write public: true, users or groups; {} lets whoever is signed in pass", "access": "write public: true, deny: true, users or groups",
		"paths": "write path; a rule has one", "regex": "write path or exact; there are no patterns", "domain": "write host in the route",
	},
	"identity": {
		"user_header": "write headers", "user": "write headers", "header": "write headers",
	},
	"log": {
		"verbose": "write level: debug", "debug": "write level: debug", "json": "write format: json", "file": "the log goes to stderr; leave it out", "output": "the log goes to stderr; leave it out",
	},
	"login": {
		"rate_limit": "write throttle", "max_attempts": "write throttle.per_account", "page": "write template",
	},
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// unknown reports a key that the section does not have, with what was meant.
// Where a key is found, nothing else is said of that one: it is not missing.
func (d *decoder) unknown(name *yaml.Node, section string, fields map[string]field) {
	word := name.Value
	full := join(section, word)
	if word == "" {
		d.bad(name.Line, section, "an empty key; write a name before the colon")
		return
	}
	known := slices.Sorted(maps.Keys(fields))
	if near := nearest(word, known); near != "" {
		d.bad(name.Line, full, "unknown key; did you mean %s?", near)
		d.broken[join(section, near)] = true
		return
	}
	if hint := hintFor(word, section); hint != "" {
		d.bad(name.Line, full, "unknown key; %s", hint)
		if target, ok := strings.CutPrefix(hint, "write "); ok {
			target, _, _ = strings.Cut(target, " ")
			d.broken[join(section, strings.Trim(target, ",;:"))] = true
		}
		return
	}
	if places := elsewhere(word); len(places) > 0 {
		d.bad(name.Line, full, "unknown key here; did you mean %s?", strings.Join(places, " or "))
		return
	}
	d.bad(name.Line, full, "unknown key; known here: %s", strings.Join(known, ", "))
}

func hintFor(word, section string) string {
	word = plain(word)
	section = indexes.ReplaceAllString(section, "[]")
	if section == "" {
		section = "<top>"
	}
	if hint, ok := foreign[section][word]; ok {
		return hint
	}
	return foreign[""][word]
}

// elsewhere gives the sections that have a key of that name, at most three.
func elsewhere(word string) []string {
	var places []string
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		if key == plain(word) || strings.HasSuffix(key, "."+plain(word)) {
			places = append(places, key)
		}
	}
	if len(places) > 3 {
		return nil // so common a word says nothing
	}
	return places
}

// keysOf gives every key below a section: log.level, routes[].access[].path.
func keysOf(t reflect.Type, section string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		t, section = t.Elem(), section+"[]"
	}
	if t.Kind() != reflect.Struct || t == secretType {
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		keys = append(keys, join(section, name))
		keys = append(keys, keysOf(f.Type, join(section, name))...)
	}
	return keys
}

// nearest gives the known key that the word is a slip of, "" if none is near.
func nearest(word string, known []string) string {
	best, least := "", max(1, min(len(word)/3, 3))+1
	if len(word) > 40 {
		return ""
	}
	for _, k := range known {
		if n := edits(plain(word), k); n < least {
			best, least = k, n
		}
	}
	return best
}

// plain spells a key as ours are: idleTimeout and idle-timeout are idle_timeout.
func plain(word string) string {
	var b strings.Builder
	for i, c := range strings.ReplaceAll(word, "-", "_") {
		if 'A' <= c && c <= 'Z' {
			if i > 0 && 'a' <= word[i-1] && word[i-1] <= 'z' {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// edits counts the letters to insert, remove, replace or swap with their
// neighbour that turn a into b.
func edits(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
