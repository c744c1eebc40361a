package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"

	"gatehouse/internal/freeport"
)

//go:embed conf
var confs embed.FS

// A lab holds what all targets share: a temporary folder, the programs, and the
// servers behind the proxies.
type lab struct {
	o        options
	dir      string // temporary
	module   string // the module's folder
	progress io.Writer
	files    int      // descriptors that a process may have
	pages    service  // nginx with static files
	sink     service  // takes uploads and WebSockets
	number   int      // of targets until now, for names of files
	ports    []func() // each gives a port of freeAddr back
}

// A service is a process and where it listens.
type service struct {
	*process
	addr string
}

// wantFiles is how many descriptors a proxy needs for 10,000 WebSockets, with some to
// spare.
const wantFiles = 65536

// newLab builds the programs and starts the servers behind the proxies. The caller
// calls close, also after an error.
func newLab(ctx context.Context, o options, progress io.Writer) (l *lab, err error) {
	l = &lab{o: o, progress: progress}
	if l.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return l, fmt.Errorf("make a temporary folder: %w", err)
	}
	l.files = raiseFiles(wantFiles)
	if err := l.build(ctx); err != nil {
		return l, err
	}
	if err := l.makeFiles(); err != nil {
		return l, err
	}
	if l.pages.addr, err = l.freeAddr(); err != nil {
		return l, err
	}
	if l.pages.process, err = l.nginx(ctx, "upstream.conf", nginxConf{Name: "upstream", Listen: l.pages.addr}); err != nil {
		return l, err
	}
	if l.sink.addr, err = l.freeAddr(); err != nil {
		return l, err
	}
	if l.sink.process, err = l.start(ctx, "sink", l.program("upstream"), "-listen", l.sink.addr); err != nil {
		return l, err
	}
	return l, errors.Join(l.pages.await(ctx, l.pages.addr), l.sink.await(ctx, l.sink.addr))
}

// freeAddr returns an address of this machine on which nothing listens. Its
// port is reserved until the lab is closed, for the server that is told to
// listen there.
func (l *lab) freeAddr() (string, error) {
	addr, release, err := freeport.Reserve()
	if err == nil {
		l.ports = append(l.ports, release)
	}
	return addr, err
}

// close stops what newLab has started, removes the folder, and releases the ports.
func (l *lab) close() error {
	for _, release := range l.ports {
		defer release()
	}
	for _, s := range []service{l.sink, l.pages} {
		if s.process != nil {
			s.stop()
		}
	}
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(l.dir) //nolint:gosec // newLab made it
}

// say prints a line on the progress.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.progress, format+"\n", args...)
}

// file returns the path of a file in the folder of the lab.
func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

// program returns the path of a program that build has made.
func (l *lab) program(name string) string {
	if name == "gatehouse" && l.o.gatehouse != "" {
		return l.o.gatehouse
	}
	return l.file("bin/" + name)
}

// build builds the programs as `make build` does.
func (l *lab) build(ctx context.Context) error {
	module, err := l.command(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return err
	}
	l.module = module
	if err := os.Mkdir(l.file("bin"), 0o700); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	what := []string{"gatehouse/bench/baseline", "gatehouse/bench/upstream"}
	if l.o.gatehouse == "" {
		what = append(what, "gatehouse")
	}
	if l.o.profile != "" {
		what = append(what, "gatehouse/bench/profiled")
	}
	l.say("building %s", strings.Join(what, ", "))
	_, err = l.command(ctx, "", "go", slices.Concat([]string{"build", "-trimpath", "-o", l.file("bin") + "/"}, what)...)
	return err
}

// makeFiles makes the files that the upstream serves. The big one is sparse and takes
// no space on disk.
func (l *lab) makeFiles() error {
	if err := os.Mkdir(l.file("files"), 0o700); err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	for name, size := range map[string]int64{"1k": 1 << 10, "100k": 100 << 10} {
		if err := os.WriteFile(l.file("files/"+name), []byte(strings.Repeat("x", int(size))), 0o600); err != nil {
			return fmt.Errorf("make files: %w", err)
		}
	}
	f, err := os.Create(l.file("files/big"))
	if err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	return errors.Join(f.Truncate(l.o.transfer), f.Close())
}

// command runs a program to its end and returns its standard output without the
// space around it.
func (l *lab) command(ctx context.Context, stdin, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the developer names the programs
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// start starts a program whose output goes to a file in the folder of the lab.
func (l *lab) start(ctx context.Context, name, program string, args ...string) (*process, error) {
	l.number++
	return start(ctx, name, l.file(fmt.Sprintf("%s-%d.log", name, l.number)), program, args...)
}

// configure writes a configuration from one of the templates.
func (l *lab) configure(template, name string, data any) (string, error) {
	text, err := render(template, data)
	if err != nil {
		return "", err
	}
	return l.file(name), os.WriteFile(l.file(name), []byte(text), 0o600) //nolint:gosec // in our own folder
}

func render(name string, data any) (string, error) {
	t, err := template.ParseFS(confs, "conf/"+name)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("fill in %s: %w", name, err)
	}
	return b.String(), nil
}

// raiseFiles raises the limit on open descriptors to n, for this process and those
// that it starts, and returns the limit that it got, at most n.
func raiseFiles(n uint64) int {
	var have syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &have); err != nil {
		return 1024
	}
	want := syscall.Rlimit{Cur: max(n, have.Cur), Max: max(n, have.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) != nil { // only root may go over Max
		want = syscall.Rlimit{Cur: have.Max, Max: have.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) != nil {
			want = have
		}
	}
	return int(min(want.Cur, n)) //nolint:gosec // at most n
}
