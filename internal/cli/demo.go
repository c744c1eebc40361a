package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth/password"
	"gatehouse/config"
	"gatehouse/internal/demo"
	"gatehouse/server"
)

// demoListen is the usual address of the demo. If it is taken, the demo uses a
// free port.
const demoListen = "127.0.0.1:8080"

// demoCommand returns the command "gatehouse demo".
func (p *cli) demoCommand() *cobra.Command {
	var listen, upstream string
	var hosts bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the gate at work: no file needed", Args: noArguments,
		Long: `Put a small built-in legacy application, or your own with --upstream, behind the
gate. There is one account; its random password is printed here. What is kept
lies in a temporary folder, which is removed at the end (Ctrl-C).

With --hosts, it stands on two hosts, wiki.localhost and shop.localhost, and
people sign in once for both, on a third one, gate.localhost.`,
		Example: `  gatehouse demo
  gatehouse demo --hosts
  gatehouse demo --upstream http://127.0.0.1:3000`,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			return p.demo(cmd.Context(), demoOptions{listen, upstream, hosts, cmd.Flags().Changed("listen")})
		}),
	}
	cmd.Flags().StringVar(&listen, "listen", demoListen, "`ADDR` to listen on")
	cmd.Flags().StringVar(&upstream, "upstream", "", "`URL` of your own application, in place of the built-in one")
	cmd.Flags().BoolVar(&hosts, "hosts", false, "two hosts, and one sign-in for both on a third")
	return cmd
}

// A demoOptions says what the demo shows.
type demoOptions struct {
	listen   string
	upstream string // the application behind it; "": the built-in one
	hosts    bool   // it is on several hosts
	fixed    bool   // listen was given by the user: a port that is taken is an error
}

// The hosts of the demo. Chromium finds every name below localhost on this machine.
const demoLoginHost = "gate.localhost"

var demoHosts = []string{"wiki.localhost", "shop.localhost"}

// demo runs a gate with a configuration in memory and all files in a temporary
// folder, which it removes at the end.
func (p *cli) demo(ctx context.Context, o demoOptions) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if !o.fixed && busy(ctx, o.listen) {
		o.listen = "127.0.0.1:0" // the usual port is taken, and for a demo any port will do
	}
	access, upstream := "", o.upstream
	if upstream == "" {
		stop, err := startDemoApplication(ctx, filepath.Join(dir, "app.sock"))
		if err != nil {
			return err
		}
		defer stop()
		upstream = "unix:" + filepath.Join(dir, "app.sock")
		access = `
    access:
      - {path: /public, public: true}
      - {path: /admin, groups: [admins]}
      - {}`
	}
	chosen := demoPassword()
	hash, err := password.NewHasher(password.Options{}).Hash(ctx, chosen)
	if err != nil {
		return err
	}
	loginHost, hosts := "", []string{""}
	if o.hosts {
		loginHost, hosts = demoLoginHost, demoHosts
	}
	var routes strings.Builder
	for _, host := range hosts {
		fmt.Fprintf(&routes, "  - host: %q\n    upstream: %q%s\n", host, upstream, access)
	}
	c, err := config.Parse("demo", fmt.Appendf(nil, `version: 1
listen: %q
data_dir: %q
log: {level: warn, format: text, access: false}
login: {host: %q}
users:
  - {name: demo, display_name: Demo, email: demo@example.com, groups: [staff], password_hash: %q}
routes:
%s`, o.listen, filepath.Join(dir, "data"), loginHost, hash.Reveal(), routes.String()))
	if err != nil {
		return err
	}
	return p.serve(ctx, server.Options{Config: c, Ready: func(f server.StartupInfo) {
		behind := "a small application without any login, which shows what reaches it"
		if access == "" {
			behind = upstream
		}
		addresses := []string{f.URLs[0]}
		if o.hosts {
			addresses = onHosts(f.URLs[0], demoHosts)
		}
		p.tellDemo(addresses, chosen, behind)
	}})
}

// onHosts returns the address with each of the hosts in place of its own.
func onHosts(address string, hosts []string) (all []string) {
	scheme, at, _ := strings.Cut(address, "://")
	_, port, err := net.SplitHostPort(at)
	for _, host := range hosts {
		if err == nil {
			host = net.JoinHostPort(host, port)
		}
		all = append(all, scheme+"://"+host)
	}
	return all
}

// tellDemo prints the addresses, the name and the password. It ignores errors: the
// gate works without a reader.
func (p *cli) tellDemo(addresses []string, password, behind string) {
	s := screenOf(p.Out)
	var open strings.Builder
	for i, address := range addresses {
		label := "Open"
		if i > 0 {
			label = "... then"
		}
		fmt.Fprintf(&open, "  %-10s %s\n", label, s.paint(bold, address+"/"))
	}
	_, _ = fmt.Fprintf(p.Out, `
%s  Name       %s
  Password   %s

  Behind it  %s
  End        Ctrl-C: everything is removed

`, open.String(), s.paint(bold, "demo"), s.paint(bold, password), behind)
}

// startDemoApplication serves the demo application on a unix socket until stop is
// called. The folder must be one that nobody else can enter: the application
// believes the identity headers of whatever connects.
func startDemoApplication(ctx context.Context, path string) (stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("start the demo application: %w", err)
	}
	hs := &http.Server{Handler: demo.New(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = hs.Serve(ln) }()      // ends with Close
	return func() { _ = hs.Close() }, nil // nothing to save
}

// demoPassword returns a random password of 80 bits, in four groups that are easy
// to type from a screen.
func demoPassword() string {
	s := strings.ToLower(rand.Text())
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:16]
}

// busy reports whether the TCP address cannot be listened on.
func busy(ctx context.Context, addr string) bool {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return true
	}
	return ln.Close() != nil
}
