package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A RedisServer is a redis-server of one test: a process with a port and a folder
// of its own, which ends with the test. Run starts it again with the same
// arguments.
type RedisServer struct {
	Addr string // host:port
	URL  string // for session.redis.url

	args   []string
	dir    string
	client *redis.Client
	cmd    *exec.Cmd
	ended  chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// StartRedis starts a server that stores nothing on disk. args follow on its
// command line, such as "--maxmemory", "10mb".
func StartRedis(tb testing.TB, args ...string) *RedisServer {
	tb.Helper()
	addr := FreeAddr(tb)
	s := newRedis(tb, addr, &redis.Options{Addr: addr}, append([]string{"--port", portOf(addr)}, args...))
	s.URL = "redis://" + addr + "/0"
	s.Run(tb)
	return s
}

// RedisUser and RedisPassword are the account that StartRedisTLS has for Gatehouse.
const (
	RedisUser     = "gatehouse"
	RedisPassword = "p@ss/word_of_redis"
)

// RedisACL is what RedisUser may do: exactly what the documentation asks for.
const RedisACL = "~gatehouse:* &gatehouse:* -@all +@read +@write +@scripting +@pubsub +@connection +cluster|slots +cluster|shards +info"

// StartRedisTLS starts a server that speaks TLS alone, with a certificate of the
// CA. Clients need a certificate of the CA and RedisUser's password.
func StartRedisTLS(tb testing.TB, ca *CA) *RedisServer {
	tb.Helper()
	addr := FreeAddr(tb)
	dir := tb.TempDir()
	root := filepath.Join(dir, "ca.crt")
	ca.WriteRoot(tb, root)
	pair, err := tls.LoadX509KeyPair(ca.CertFile, ca.KeyFile)
	if err != nil {
		tb.Fatal(err)
	}
	acl := filepath.Join(dir, "users.acl")
	text := "user default off\nuser " + RedisUser + " on >" + RedisPassword + " " + RedisACL +
		"\nuser admin on >admin ~* &* +@all\n"
	if err := os.WriteFile(acl, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s := newRedis(tb, addr, &redis.Options{
		Addr: addr, Username: "admin", Password: "admin",
		TLSConfig: &tls.Config{RootCAs: ca.Pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}, []string{
		"--port", "0", "--tls-port", portOf(addr), "--tls-cert-file", ca.CertFile, "--tls-key-file", ca.KeyFile,
		"--tls-ca-cert-file", root, "--aclfile", acl,
	})
	s.URL = "rediss://" + RedisUser + "@" + addr
	s.Run(tb)
	return s
}

// StartRedisReplica starts a replica of a server and waits until it is in sync.
func StartRedisReplica(tb testing.TB, of *RedisServer) *RedisServer {
	tb.Helper()
	s := StartRedis(tb, "--replicaof", "127.0.0.1 "+portOf(of.Addr), "--repl-diskless-sync-delay", "0")
	Eventually(tb, func() error {
		if info := fmt.Sprint(s.Do(tb, "info", "replication")); !strings.Contains(info, "master_link_status:up") {
			return errors.New(info)
		}
		return nil
	})
	return s
}

// StartSentinel starts a Sentinel that monitors the master under the name
// mymaster. It takes the master for dead after half a second without an answer,
// and then promotes the replica, which has to exist. url is the value of
// session.redis.url.
func StartSentinel(tb testing.TB, master *RedisServer) (sentinel *RedisServer, url string) {
	tb.Helper()
	addr := FreeAddr(tb)
	file := filepath.Join(tb.TempDir(), "sentinel.conf")
	text := "port " + portOf(addr) + "\nsentinel monitor mymaster 127.0.0.1 " + portOf(master.Addr) + " 1\n" +
		"sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s := newRedis(tb, addr, &redis.Options{Addr: addr}, nil)
	s.args = []string{file, "--sentinel"}
	s.Run(tb)
	Eventually(tb, func() error {
		if info := fmt.Sprint(s.Do(tb, "info", "sentinel")); !strings.Contains(info, "slaves=1,") {
			return errors.New(info)
		}
		return nil
	})
	return s, "redis+sentinel://" + addr + "/0?master=mymaster"
}

// StartRedisCluster starts a Cluster of three masters without replicas. url is the
// value of session.redis.url.
func StartRedisCluster(tb testing.TB) (nodes []*RedisServer, url string) {
	tb.Helper()
	var addrs, buses []string
	for range 3 {
		addr, bus := FreeAddr(tb), FreeAddr(tb)
		s := newRedis(tb, addr, &redis.Options{Addr: addr}, []string{
			"--port", portOf(addr), "--cluster-enabled", "yes", "--cluster-port", portOf(bus), "--cluster-node-timeout", "2000",
		})
		s.Run(tb)
		nodes, addrs, buses = append(nodes, s), append(addrs, addr), append(buses, bus)
	}
	const slots = 16384
	for i, s := range nodes {
		s.Do(tb, "cluster", "addslotsrange", i*slots/3, (i+1)*slots/3-1)
		if i > 0 {
			s.Do(tb, "cluster", "meet", "127.0.0.1", portOf(addrs[0]), portOf(buses[0]))
		}
	}
	Eventually(tb, func() error {
		for _, s := range nodes {
			info := fmt.Sprint(s.Do(tb, "cluster", "info"))
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return errors.New(info)
			}
		}
		return nil
	})
	return nodes, "redis+cluster://" + strings.Join(addrs, ",")
}

func newRedis(tb testing.TB, addr string, o *redis.Options, args []string) *RedisServer {
	tb.Helper()
	dir := tb.TempDir()
	o.Protocol, o.DisableIdentity, o.MaxRetries = 2, true, -1
	s := &RedisServer{Addr: addr, dir: dir, client: redis.NewClient(o)}
	s.args = append([]string{"--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"}, args...)
	tb.Cleanup(func() {
		s.end()
		_ = s.client.Close()
		if tb.Failed() {
			tb.Logf("log of redis at %s:\n%s", addr, tail(s.Log(), 2<<10))
		}
	})
	return s
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// Run starts the process and waits until it answers. Tests call it only to start
// the server again, after Kill.
func (s *RedisServer) Run(tb testing.TB) {
	tb.Helper()
	s.cmd = exec.CommandContext(context.Background(), "/usr/bin/redis-server", s.args...) //nolint:gosec // Debian's
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, s, s
	if err := s.cmd.Start(); err != nil {
		tb.Fatalf("%v; .ci/setup installs it", err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(s.cmd, s.ended)
	Eventually(tb, func() error {
		select {
		case <-s.ended:
			tb.Fatalf("redis has ended at once:\n%s", s.Log())
		default:
		}
		return s.client.Ping(context.Background()).Err()
	})
}

// Replicate waits until a replica has everything that was written so far. It
// publishes something first, since WAIT only waits for what its own connection has
// written.
func (s *RedisServer) Replicate(tb testing.TB) {
	tb.Helper()
	own := s.client.Conn()
	defer func() { _ = own.Close() }()
	Eventually(tb, func() error {
		if err := own.Publish(context.Background(), "replicate", "").Err(); err != nil {
			return err
		}
		n, err := own.Wait(context.Background(), 1, Patience).Result()
		if err == nil && n < 1 {
			err = errors.New("no replica has all of it")
		}
		return err
	})
}

// Do runs a command and returns its reply. An error of Redis, and the reply nil,
// fail the test.
func (s *RedisServer) Do(tb testing.TB, args ...any) any {
	tb.Helper()
	var answer any
	Eventually(tb, func() (err error) { // the connection may be one to the process before
		answer, err = s.client.Do(context.Background(), args...).Result()
		if errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "") {
			tb.Fatalf("redis: %v: %v", args, err)
		}
		return err
	})
	return answer
}

// Pause stops the process without ending it (SIGSTOP): connections stay open, and
// nothing answers until Resume.
func (s *RedisServer) Pause(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGSTOP) }

// Resume continues a paused process.
func (s *RedisServer) Resume(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGCONT) }

// Kill ends the process with SIGKILL and waits for it. Its data are lost unless it
// was started with "--appendonly", "yes".
func (s *RedisServer) Kill(tb testing.TB) {
	tb.Helper()
	s.signal(tb, syscall.SIGKILL)
	<-s.ended
}

func (s *RedisServer) signal(tb testing.TB, sig os.Signal) {
	tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		tb.Fatalf("redis: send %s: %v", sig, err)
	}
}

func (s *RedisServer) end() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // a stopped process too
	<-s.ended
}

// Write appends to Log; the process has the RedisServer as its output.
func (s *RedisServer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// Log returns what the process has printed so far.
func (s *RedisServer) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}
