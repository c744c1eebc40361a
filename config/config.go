package config

import (
	"gatehouse/auth"
	"gatehouse/internal/value"
	"gatehouse/internal/web"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// Config is a configuration that has been read and checked.
type Config struct {
	Version        int                   `yaml:"version"`
	Listen         string                `yaml:"listen"`
	DataDir        string                `yaml:"data_dir"`
	TrustedProxies []string              `yaml:"trusted_proxies"`
	TLS            TLSConfig             `yaml:"tls"`
	Admin          AdminConfig           `yaml:"admin"`
	Log            LogConfig             `yaml:"log"`
	Cookie         sessions.CookieConfig `yaml:"cookie"`
	Session        sessions.Config       `yaml:"session"`
	Login          auth.LoginConfig      `yaml:"login"`
	Identity       proxy.IdentityConfig  `yaml:"identity"`
	Users          []auth.UserConfig     `yaml:"users"`
	Routes         []proxy.RouteConfig   `yaml:"routes"`

	File      string       `yaml:"-"` // where it was read from; "" for a configuration made in memory (demo)
	LoginHTML string       `yaml:"-"` // the text of login.template; "" : the built-in page
	Trusted   web.Networks `yaml:"-"` // TrustedProxies, parsed
	Warnings  []Problem    `yaml:"-"` // dangers that somebody asked for; told at each start
}

// TLSConfig is the section tls.
type TLSConfig struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// AdminConfig is the section admin.
type AdminConfig struct {
	Listen string `yaml:"listen"`
}

// LogConfig is the section log.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug | info | warn | error
	Format string `yaml:"format"` // auto | text | json
	Access bool   `yaml:"access"`
}

// Limits that hold for every configuration file.
const (
	MaxFile = value.Size(1 << 20)
)

// A Problem is a mistake, or a warning, with its place.
type Problem struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Key     string // such as routes[1].upstream; "" for the file as a whole
	Message string // what was found, and the remedy after a semicolon
}

// Problems is an error: everything that is wrong with a file, by line.
type Problems []Problem

func (ps Problems) Error() string { panic("being built") }

// Load reads, expands and checks the file. The error is Problems, or says
// why the file could not be read. Loading changes nothing anywhere.
func Load(file string) (*Config, error) { panic("being built") }

// Parse is Load for bytes that are at hand; file is named in problems, and
// relative paths start at its folder.
func Parse(file string, data []byte) (*Config, error) { panic("being built") }
