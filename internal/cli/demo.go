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
	cmd := &cobra.Command{
		Use: "demo", Short: "Show the gate at work: no file needed", Args: noArguments,
		Long: `Put a small built-in legacy application, or your own with --upstream, behind the
gate. There is one account; its random password is printed here. What is kept
lies in a temporary folder, which is removed at the end (Ctrl-C).`,
		Example: `  gatehouse demo
  gatehouse demo --upstream http://127.0.0.1:3000`,
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			return p.demo(cmd.Context(), listen, upstream, cmd.Flags().Changed("listen"))
		}),
	}
	cmd.Flags().StringVar(&listen, "listen", demoListen, "`ADDR` to listen on")
	cmd.Flags().StringVar(&upstream, "upstream", "", "`URL` of your own application, in place of the built-in one")
	return cmd
}

// demo runs a gate with a configuration in memory and all files in a temporary
// folder, which it removes at the end. upstream is the application behind it; ""
// means the built-in one. fixed means that listen was given by the user: then a
// port that is taken is an error.
func (p *cli) demo(ctx context.Context, listen, upstream string, fixed bool) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if !fixed && busy(ctx, listen) {
		listen = "127.0.0.1:0" // the usual port is taken, and for a demo any port will do
	}
	access := ""
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
	c, err := config.Parse("demo", fmt.Appendf(nil, `version: 1
listen: %q
data_dir: %q
log: {level: warn, format: text, access: false}
users:
  - {name: demo, display_name: Demo, email: demo@example.com, groups: [staff], password_hash: %q}
routes:
  - upstream: %q%s
`, listen, filepath.Join(dir, "data"), hash.Reveal(), upstream, access))
	if err != nil {
		return err
	}
	return p.serve(ctx, server.Options{Config: c, Ready: func(f server.StartupInfo) {
		behind := "a small application without any login, which shows what reaches it"
		if access == "" {
			behind = upstream
		}
		p.tellDemo(f.URLs[0], chosen, behind)
	}})
}

// tellDemo prints the address, the name and the password. It ignores errors: the
// gate works without a reader.
func (p *cli) tellDemo(url, password, behind string) {
	s := screenOf(p.Out)
	_, _ = fmt.Fprintf(p.Out, `
  Open       %s
  Name       %s
  Password   %s

  Behind it  %s
  End        Ctrl-C: everything is removed

`, s.paint(bold, url+"/"), s.paint(bold, "demo"), s.paint(bold, password), behind)
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
