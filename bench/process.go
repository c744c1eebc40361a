package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A process is a program that was started here, with its children. They share a
// process group, by which they are found in /proc.
type process struct {
	name string
	log  string // path of the file with its output
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
}

// stopTime is how long a process may take to stop when it is asked to.
const stopTime = 10 * time.Second

// start starts a program whose output goes to the file log. It runs until stop, also
// when ctx is done before, since the programs are stopped in a certain order.
func start(ctx context.Context, name, log, program string, args ...string) (*process, error) {
	f, err := os.Create(log) //nolint:gosec // in our own temporary folder
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = f.Close() }()                                         // the process has its own
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // the developer names the programs
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	return p, nil
}

// group returns the id of the process group.
func (p *process) group() int { return p.cmd.Process.Pid }

// stop ends the process with SIGTERM, and after stopTime all of its group with
// SIGKILL.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-p.group(), syscall.SIGKILL) // whoever is left of the group
	<-p.done
}

// wrote returns the end of the output, for an error.
func (p *process) wrote() string {
	text, err := os.ReadFile(p.log) //nolint:gosec // our own file
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4<<10):])
}

// upTime is how long a process may take until it answers.
const upTime = 30 * time.Second

// await waits until the process answers a request on the address, with any status.
func (p *process) await(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	client := browser(nil)
	defer client.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := get(ctx, client, "http://"+addr+"/", "")
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended at once:\n%s", p.name, p.wrote())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer on %s: %w:\n%s", p.name, addr, err, p.wrote())
		case <-tick.C:
		}
	}
}

// A reply is a status and a body.
type reply struct {
	status int
	body   string
}

// get requests one page, with the header Cookie unless cookie is "".
func get(ctx context.Context, client *http.Client, url, cookie string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil) //nolint:gosec // one of our own servers
	if err != nil {
		return reply{}, err
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := client.Do(req) //nolint:gosec // as above
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(body)}, errors.Join(err, resp.Body.Close())
}

// browser returns a client that does not follow redirects.
func browser(jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Timeout: upTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
