// Package config reads the one file that configures everything, and reports what
// is wrong with it: all problems at once, each with its file, line and key, what
// was found, and what to write instead.
//
// Each section has its struct, its defaults and its check in the package that
// uses it. This package composes them. A struct may have these methods on its
// pointer:
//
//	SetDefaults()                  // called before anything is read into it
//	Check(report *problem.List)    // called when everything has been read; keys are relative to the section
//
// With an error, the file is refused. A warning goes into Config.Warnings.
//
// The file is YAML without the parts of YAML that surprise: a scalar is the text
// as it is written (no is a name and not false), and there are no anchors,
// aliases, merge keys, tags or second documents. Its size, depth and number of
// entries are bounded before the parser sees it, so no file takes more than a
// moment. Reading changes nothing: it is safe to check any file on any machine.
package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"gatehouse/auth/account"
	"gatehouse/auth/portal"
	"gatehouse/internal/value"
	"gatehouse/internal/web"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// Config is a configuration that has been read and checked. It does not change
// after that: a reload makes a new one. It is safe for concurrent use.
//
// Relative paths of files and folders in the file (data_dir, tls, upstream_tls,
// login.template) are relative to the folder of the file. In a Config they are
// ready to be opened.
type Config struct {
	Version        int                   `yaml:"version"`         // 1
	Listen         string                `yaml:"listen"`          // host:port | unix:/path | systemd
	DataDir        string                `yaml:"data_dir"`        // the database, generated secrets and control socket
	TrustedProxies []string              `yaml:"trusted_proxies"` // networks or addresses whose X-Forwarded-* are believed
	TLS            TLSConfig             `yaml:"tls"`
	Limits         LimitsConfig          `yaml:"limits"`
	ListenMode     string                `yaml:"listen_mode"` // mode of unix:/path, as for chmod; default 0660
	Admin          AdminConfig           `yaml:"admin"`
	Stop           StopConfig            `yaml:"stop"`
	Log            LogConfig             `yaml:"log"`
	Cookie         sessions.CookieConfig `yaml:"cookie"`
	Session        SessionConfig         `yaml:"session"`
	Login          portal.LoginConfig    `yaml:"login"`
	Identity       proxy.IdentityConfig  `yaml:"identity"`
	Users          []account.UserConfig  `yaml:"users"`
	Routes         []proxy.RouteConfig   `yaml:"routes"`

	File      string       `yaml:"-"` // path it was read from; "" for a configuration made in code
	LoginHTML string       `yaml:"-"` // the text of login.template; "": the built-in page
	Trusted   web.Networks `yaml:"-"` // TrustedProxies, parsed
	Warnings  Problems     `yaml:"-"` // what is allowed but dangerous, sorted by line; shown at each start
}

// SetDefaults sets the documented defaults of the keys at the top of the file.
func (c *Config) SetDefaults() {
	c.Version = 1
	c.Listen = "127.0.0.1:8080"
	c.DataDir = "./data"
	c.ListenMode = "0660"
}

// SocketMode returns ListenMode as a file mode, or 0660 if it is not valid.
func (c *Config) SocketMode() fs.FileMode {
	mode, ok := fileMode(c.ListenMode)
	if !ok {
		return 0o660
	}
	return mode
}

// fileMode parses three octal digits, with or without a leading zero. It returns
// false for anything else.
func fileMode(s string) (fs.FileMode, bool) {
	n, err := strconv.ParseUint(s, 8, 32)
	return fs.FileMode(n), err == nil && n <= 0o777 && (len(s) == 3 || len(s) == 4)
}

// LimitsConfig is the section limits: how many connections visitors may have open
// at the same time. 0, the default, means no limit but that of the system's file
// descriptors.
type LimitsConfig struct {
	Connections int `yaml:"connections"`
	// PerAddress is the limit for one peer: an IPv4 address, or the /64 network
	// of an IPv6 address. Peers in trusted_proxies and peers of a unix socket
	// are not limited.
	PerAddress int `yaml:"per_address"`
}

// AdminConfig is the section admin: a listener for monitoring, without a login.
type AdminConfig struct {
	Listen string `yaml:"listen"` // host:port for /healthz, /readyz and /metrics; "": off
}

// StopConfig is the section stop: what happens after SIGTERM. /readyz answers 503
// at once.
type StopConfig struct {
	Delay value.Duration `yaml:"delay"` // how long new connections are still served, until clients of /readyz have noticed
	Limit value.Duration `yaml:"limit"` // how long requests under way may then take, before they are cut off
}

// SetDefaults sets the documented defaults: no delay, and a limit of 30 seconds.
func (c *StopConfig) SetDefaults() { c.Limit = value.Duration(30 * time.Second) }

// LogConfig is the section log. Its zero value is not valid; see SetDefaults.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug | info | warn | error
	Format string `yaml:"format"` // auto: text on a terminal, else json | text | json
	Access bool   `yaml:"access"` // one log line for each request
}

// SetDefaults sets the documented defaults: level info, format auto, with an
// access log.
func (c *LogConfig) SetDefaults() { c.Level, c.Format, c.Access = "info", "auto", true }

// Limits of every configuration file. A file over a limit is refused.
const (
	MaxFile   = value.Size(1 << 20)  // the file as a whole
	MaxScalar = value.Size(64 << 10) // one value, and each file that holds a secret
	MaxDepth  = 32                   // sections within sections
	MaxParts  = 50_000               // lines, commas, opening brackets and # together, which bounds the work of the parser
)

// Defaults returns the configuration of an empty file: every default, no user and
// no route. It is for configurations that are made in code; call CheckAll when
// they are complete.
func Defaults() *Config {
	c := new(Config)
	setDefaults(reflect.ValueOf(c))
	return c
}

// Load reads and checks the file, and the files that it names. The error is
// Problems if something is wrong with the content, else it says why the file
// could not be read. On success, Warnings holds what is allowed but dangerous.
func Load(file string) (*Config, error) {
	f, err := os.Open(file) //nolint:gosec // G304: the operator's own file
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	// One byte more than the limit shows that the file is too large, which parse
	// reports.
	data, err := io.ReadAll(io.LimitReader(f, int64(MaxFile)+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(file, data, info, os.LookupEnv)
}

// Parse is Load for data that have been read already. file is the name that
// problems show, and relative paths start at its folder. The mode of the file is
// not checked, so there is no warning about secrets that others may read.
func Parse(file string, data []byte) (*Config, error) {
	return parse(file, data, nil, os.LookupEnv)
}

// RuleLine returns the line, from 1, of a rule in the file that c was read from,
// or of the route itself if rule is negative. It reads the file again. It returns
// 0 if c is from no file, if the file cannot be read, or if the route has changed
// in the file since.
func (c *Config) RuleLine(route, rule int) int {
	data, err := os.ReadFile(c.File)
	if err != nil || len(data) > int(MaxFile) {
		return 0
	}
	r := newReporter(c.File)
	now, err := parseWith(r, data, nil, os.LookupEnv)
	if err != nil || route >= len(now.Routes) || !reflect.DeepEqual(now.Routes[route], c.Routes[route]) {
		return 0
	}
	key := fmt.Sprintf("routes[%d]", route)
	if rule >= 0 {
		key += fmt.Sprintf(".access[%d]", rule)
	}
	return r.lines[key]
}

// CheckAll checks a configuration that was made in code, and sets what is derived
// from it (Trusted, LoginHTML, Warnings). Relative paths are relative to the
// working directory. The error is Problems without files and lines.
func (c *Config) CheckAll() error {
	r := newReporter("")
	c.check(r, ".", nil)
	return c.finish(r)
}

// parse is Load after the file has been read. env looks up environment variables.
// A panic, ours or the YAML parser's, becomes a problem: no file can end the
// process.
func parse(file string, data []byte, info os.FileInfo, env func(string) (string, bool)) (c *Config, err error) {
	return parseWith(newReporter(file), data, info, env)
}

// parseWith is parse with a reporter, in which the caller finds the lines of the
// keys afterwards.
func parseWith(r *reporter, data []byte, info os.FileInfo, env func(string) (string, bool)) (c *Config, err error) {
	file := r.file
	defer func() {
		if e := recover(); e != nil {
			// The panic's value may hold text of the file, so it is not shown.
			r.bad(1, "", "the file cannot be understood (%T); please report this as a bug", e)
			c, err = nil, r.problems.sorted()
		}
	}()
	root := parseTree(data, r)
	if root == nil {
		return nil, r.problems.sorted()
	}
	dir := filepath.Dir(file)
	c = Defaults()
	c.File = file
	d := &decoder{reporter: r, dir: dir, env: env}
	d.decode(root, reflect.ValueOf(c).Elem(), "")
	c.check(r, dir, info)
	if err := c.finish(r); err != nil {
		return nil, err
	}
	c.resolve(dir)
	return c, nil
}

// finish sets the warnings, and returns the problems as an error if there are
// any.
func (c *Config) finish(r *reporter) error {
	c.Warnings = r.warnings.sorted()
	if len(r.problems) > 0 {
		return r.problems.sorted()
	}
	return nil
}

// resolve makes the relative paths in c start at dir, the folder of the file.
// Files are checked before that, so messages show paths as they were written.
func (c *Config) resolve(dir string) {
	redis := &c.Session.Redis
	for _, p := range []*string{
		&c.DataDir, &c.TLS.CertFile, &c.TLS.KeyFile, &c.Login.Template, &c.Login.Logo, &redis.CAFile, &redis.CertFile, &redis.KeyFile,
	} {
		*p = under(dir, *p)
	}
	c.DataDir, _ = DataFolder(c.DataDir)
	for i := range c.Routes {
		t := &c.Routes[i].UpstreamTLS
		for _, p := range []*string{&t.CAFile, &t.CertFile, &t.KeyFile, &c.Routes[i].Login.Logo} {
			*p = under(dir, *p)
		}
	}
}

// under returns a path of the file as the process has to open it: a relative one
// starts at dir. An empty path stays empty.
func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
