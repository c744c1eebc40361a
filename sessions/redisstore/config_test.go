package redisstore

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/sessions"
)

func TestURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]address{
		"redis://127.0.0.1":                           {hosts: []string{"127.0.0.1:6379"}},
		"redis://cache.internal:6380/":                {hosts: []string{"cache.internal:6380"}},
		"redis://gate:p%40ss%2Fword@cache:6380/3":     {hosts: []string{"cache:6380"}, user: "gate", password: "p@ss/word", db: 3},
		"rediss://:hunter2@[::1]/0":                   {hosts: []string{"[::1]:6379"}, password: "hunter2", tls: true},
		"rediss://[2001:db8::1]:7000":                 {hosts: []string{"[2001:db8::1]:7000"}, tls: true},
		"unix:///run/redis.sock":                      {hosts: []string{"/run/redis.sock"}, unix: true},
		"unix://gate:pw@/run/redis.sock?db=2":         {hosts: []string{"/run/redis.sock"}, user: "gate", password: "pw", unix: true, db: 2},
		"redis+cluster://a,b:7001":                    {hosts: []string{"a:6379", "b:7001"}, cluster: true},
		"rediss+cluster://gate@a,[::2]:1/0":           {hosts: []string{"a:6379", "[::2]:1"}, user: "gate", cluster: true, tls: true},
		"redis+sentinel://s1,s2:5/1?master=mymaster":  {hosts: []string{"s1:26379", "s2:5"}, master: "mymaster", db: 1},
		"rediss+sentinel://u:p@s1?master=my%20master": {hosts: []string{"s1:26379"}, user: "u", password: "p", master: "my master", tls: true},
	} {
		got, err := parseURL(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", url, got, err, want)
		}
	}
	for url, want := range map[string]string{
		"":                             "has no scheme",
		"127.0.0.1:6379":               "has no scheme",
		"http://cache":                 `the scheme "http", which is not known`,
		"redis-sentinel://s1?master=m": "write redis, rediss, redis+cluster, rediss+cluster, redis+sentinel",
		"redis://":                     "no host",
		"redis://:6379":                "no host",
		"redis://a,b":                  "names 2 servers; write redis+cluster or redis+sentinel",
		"rediss://a,b":                 "write rediss+cluster",
		"redis://a,":                   "no host",
		"redis://a:port":               "no host",
		"redis://a:0":                  "no host",
		"redis://a:70000":              "no host",
		"redis://:hunter2/x@a":         "percent-encode what is special",
		"redis://u:hunter%zz2@a":       "percent-encode what is special",
		"redis://a/one":                "a database that is no number",
		"redis://a/-1":                 "a database that is no number",
		"redis://a?skip_verify=true":   `the option "skip_verify", which is not known`,
		"redis://a?master=m":           `the option "master", which is not known`,
		"redis+cluster://a/1":          "a Cluster has only 0",
		"redis+sentinel://a":           "?master=mymaster",
		"unix://":                      "names no socket",
		"unix://run/redis.sock":        "names no socket",
		"redis://a#b":                  "behind ? or #",
	} {
		_, err := parseURL(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if _, err := New(Options{URL: url}); err == nil {
			t.Errorf("%s: New takes it", url)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("redis://u:p@a:1,b:2/3?master=m#x")
	f.Add("unix:///x?db=1")
	f.Fuzz(func(t *testing.T, url string) {
		a, err := parseURL(url)
		if err == nil && (len(a.hosts) == 0 || a.hosts[0] == "" || a.db < 0 || a.cluster && a.master != "") {
			t.Errorf("%q: %+v", url, a)
		}
	})
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	const password = "hunter2-hunter2"
	for _, test := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"loopback", func(c *Config) { c.URL = secret.New("redis://localhost") }, ""},
		{"far away", func(c *Config) { c.URL = secret.New("redis+cluster://[::1],10.0.0.1") }, "warn url: 10.0.0.1:6379 is reached without TLS"},
		{"far away with TLS", func(c *Config) { c.URL = secret.New("rediss://10.0.0.1") }, ""},
		{"password from a file", func(c *Config) { c.URL, c.Password = secret.New("rediss://gate@a"), secret.New(password) }, ""},
		{"two passwords", func(c *Config) {
			c.URL, c.Password = secret.New("rediss://:"+password+"@a"), secret.New(password)
		}, "password: there is one in url as well"},
		{"bad url", func(c *Config) { c.URL = secret.New("redis://u:" + password + "/@a") }, "url: percent-encode"},
		{"a sentinel's password", func(c *Config) {
			c.URL, c.SentinelPassword = secret.New("rediss://a"), secret.New(password)
		}, "sentinel_password: url names no Sentinels"},
		{"half a pair", func(c *Config) { c.URL, c.CertFile = secret.New("rediss://a"), "c" }, "key_file: is missing"},
		{"the other half", func(c *Config) { c.URL, c.KeyFile = secret.New("rediss://a"), "k" }, "cert_file: is missing"},
		{"files without TLS", func(c *Config) { c.URL, c.CAFile = secret.New("redis://127.0.0.1"), "c" }, "url: has no TLS"},
		{"braces in the prefix", func(c *Config) { c.KeyPrefix = "{a}" }, `key_prefix: "{a}"`},
		{"no prefix", func(c *Config) { c.KeyPrefix = "" }, "key_prefix: is empty"},
	} {
		var c Config
		c.SetDefaults()
		test.change(&c)
		var found problem.List
		c.Check(&found)
		var all []string
		for _, p := range found.Errors {
			all = append(all, p.String())
		}
		for _, p := range found.Warnings {
			all = append(all, "warn "+p.String())
		}
		got := strings.Join(all, "\n")
		key, text, _ := strings.Cut(test.want, ": ")
		if (test.want == "") != (got == "") || !strings.HasPrefix(got, key) || !strings.Contains(got, text) {
			t.Errorf("%s: problems %q, want %q", test.name, got, test.want)
		}
		if strings.Contains(got, "hunter") {
			t.Errorf("%s: a password is shown: %q", test.name, got)
		}
	}
}

func FuzzValue(f *testing.F) {
	key := strings.Repeat("ab", 32)
	f.Add("alice", []byte("data"), int64(1), int64(1_700_000_000_000_000), uint64(3))
	f.Add("ali\n ce\x00", []byte(nil), int64(-1), int64(-62135596800000000), ^uint64(0))
	f.Fuzz(func(t *testing.T, user string, data []byte, idle, at int64, version uint64) {
		r := sessions.Record{User: user, Data: data, Idle: time.Duration(idle), Seen: time.UnixMicro(at), Limit: time.UnixMicro(at).Add(time.Hour)}
		r = r.Stored(version)
		value := encode(key, &r)
		got, err := decode(key, value)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v, want %+v", got, err, r)
		}
		if _, err := decode(strings.Repeat("cd", 32), value); err == nil {
			t.Error("another key's record is taken")
		}
		if _, err := decode(key, string(data)); err == nil {
			t.Errorf("%q is taken for a record", data)
		}
	})
}

func TestCacheRefusesACluster(t *testing.T) {
	t.Parallel()
	_, err := NewCache(Options{URL: "redis+cluster://h1"})
	if err == nil || !strings.Contains(err.Error(), "Cluster") {
		t.Errorf("%v", err)
	}
}
