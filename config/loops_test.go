package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An upstream that is a listener of ours is refused, however it is written.
func TestUpstreamIsThisGate(t *testing.T) {
	host, err := os.Hostname()
	must(t, err)
	own := "" // an address of this machine beside 127.0.0.1
	list, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range list {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
			own = ip.String()
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "real.sock"), nil, 0o600))
	must(t, os.Symlink(filepath.Join(dir, "real.sock"), filepath.Join(dir, "link.sock")))
	type row struct {
		listen, admin, upstream string
		refused                 bool
	}
	rows := []row{
		{"127.0.0.1:8080", "", "http://127.0.0.1:8080", true},
		{"127.0.0.1:8080", "", "http://localhost:8080", true},
		{"127.0.0.1:8080", "", "http://LOCALHOST.:8080", true},
		{"127.0.0.1:8080", "", "https://app.localhost:8080", true},
		{"127.0.0.1:8080", "", "http://0.0.0.0:8080", true},
		{"127.0.0.1:8080", "", "http://[::]:8080", true},
		{"127.0.0.1:8080", "", "http://[::ffff:127.0.0.1]:8080", true},
		{"127.0.0.1:8080", "", "http://127.0.0.1:8081", false},
		{"127.0.0.1:8080", "", "http://127.0.0.2:8080", false},
		{"127.0.0.1:8080", "", "http://[::1]:8080", false},
		{"127.0.0.1:8080", "", "http://192.0.2.1:8080", false},
		{"localhost:8080", "", "http://[::1]:8080", true},
		{":8080", "", "http://127.0.0.1:8080", true},
		{":8080", "", "h2c://127.3.2.1:8080", true},
		{":8080", "", "http://[::1]:8080", true},
		{"0.0.0.0:8080", "", "http://localhost:8080", true},
		{"[::]:8080", "", "http://127.0.0.1:8080", true},
		{":8080", "", "http://192.0.2.1:8080", false},
		{":80", "", "http://localhost", true},
		{"127.0.0.1:8080", "127.0.0.1:9090", "http://127.0.0.1:9090", true},
		{"127.0.0.1:8080", "127.0.0.1:9090", "http://127.0.0.1:9091", false},
		{"unix:" + dir + "/real.sock", "", "unix:" + dir + "/real.sock", true},
		{"unix:" + dir + "/real.sock", "", "unix:" + dir + "/x/../real.sock", true},
		{"unix:" + dir + "/real.sock", "", "unix:" + dir + "/link.sock", true},
		{"unix:" + dir + "/real.sock", "", "unix:" + dir + "/app.sock", false},
		{"127.0.0.1:8080", "", "unix:" + dir + "/data/control.sock", true},
		{"systemd", "", "http://127.0.0.1:8080", false},
	}
	if own != "" {
		rows = append(rows, row{":8080", "", "http://" + own + ":8080", true}, row{own + ":8080", "", "http://127.0.0.1:8080", false})
	}
	if found := addresses(host); len(found) > 0 {
		rows = append(rows, row{":8080", "", "http://" + host + ":8080", true})
	}
	for _, tt := range rows {
		file := fmt.Sprintf("data_dir: %s\nlisten: %q\nadmin: {listen: %q}\nroutes: [{host: a.test, upstream: %q}, {host: b.test, upstreams: [\"http://10.0.0.1:3000\", %q]}]\n",
			filepath.Join(dir, "data"), tt.listen, tt.admin, tt.upstream, tt.upstream)
		_, err := Parse(filepath.Join(dir, "gatehouse.yaml"), []byte(file))
		got := err != nil && strings.Contains(err.Error(), "routes[0].upstream: leads back to this gate")
		if got != tt.refused {
			t.Errorf("%s and %s: refused is %v, want %v (%v)", tt.listen, tt.upstream, got, tt.refused, err)
		}
		if several := err != nil && strings.Contains(err.Error(), "routes[1].upstreams[1]: leads back"); several != tt.refused && strings.HasPrefix(tt.upstream, "http://") {
			t.Errorf("%s and %s among several: refused is %v, want %v (%v)", tt.listen, tt.upstream, several, tt.refused, err)
		}
	}
}
