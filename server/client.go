package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/config"
	"gatehouse/proxy"
)

// A Client talks to the running server over its control socket. It is an
// Admin, and more.
type Client struct {
	http *http.Client
	path string
}

// ErrNoServer says that no server runs on this data_dir.
var ErrNoServer = errors.New("no server is running")

// Dial gives a Client of the server that runs on the configuration's
// data_dir. ErrNoServer when there is none.
func Dial(ctx context.Context, c *config.Config) (*Client, error) {
	path := filepath.Join(c.DataDir, socketFile)
	conn, err := dialControl(ctx, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w on data_dir %s", ErrNoServer, c.DataDir)
	} else if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialControl(ctx, path)
		},
	}}}, nil
}

// dialControl connects to a control socket, and refuses one that belongs to
// somebody else: what is sent there are hashes of passwords, and what it
// answers is believed.
func dialControl(ctx context.Context, path string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := checkOwner(conn, filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// checkOwner fails unless the process at the other end is root's, ours, or of
// the user whom the folder belongs to.
func checkOwner(conn net.Conn, dir string) error {
	uid, err := peerUID(conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // the folder's mode has to do
	} else if err != nil {
		return fmt.Errorf("ask whose socket it is: %w", err)
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if ok && mayServe(uid, uint32(os.Geteuid()), owner.Uid) { //nolint:gosec // G115: a user of Unix
		return nil
	}
	return fmt.Errorf("a process of another user (uid %d) answers in %s; nothing was sent to it", uid, dir)
}

// mayServe reports whether a process of the user uid may be the gate that the
// user ours asks about, whose folder belongs to owner.
func mayServe(uid, ours, owner uint32) bool { return uid == 0 || uid == ours || uid == owner }

// Close lets go of the connection.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Reload makes the server read its configuration again. The error is
// config.Problems when that is what stood against it.
func (c *Client) Reload(ctx context.Context) error {
	_, err := call[nothing](ctx, c, "config.reload", nothing{})
	return err
}

// Ready says whether the server is ready; the error says why it is not.
func (c *Client) Ready(ctx context.Context) error {
	st, err := call[status](ctx, c, "health", nothing{})
	if err == nil && !st.Ready {
		err = errors.New(st.Why)
	}
	return err
}

// Sessions serves Admin.
func (c *Client) Sessions(ctx context.Context, q SessionQuery) iter.Seq2[Session, error] {
	return each[Session](ctx, c, "session.list", q)
}

// Count serves Admin.
func (c *Client) Count(ctx context.Context) (int, error) {
	n, err := call[count](ctx, c, "session.count", nothing{})
	return n.Count, err
}

// Session serves Admin.
func (c *Client) Session(ctx context.Context, handle string) (Session, error) {
	return call[Session](ctx, c, "session.show", byID{handle})
}

// Revoke serves Admin.
func (c *Client) Revoke(ctx context.Context, which Revocation) (int, error) {
	n, err := call[count](ctx, c, "session.revoke", which)
	return n.Count, err
}

// Purge serves Admin.
func (c *Client) Purge(ctx context.Context) (int, error) {
	n, err := call[count](ctx, c, "session.purge", nothing{})
	return n.Count, err
}

// Users serves Admin.
func (c *Client) Users(ctx context.Context, q UserQuery) iter.Seq2[User, error] {
	return each[User](ctx, c, "user.list", q)
}

// User serves Admin.
func (c *Client) User(ctx context.Context, name string) (User, error) {
	return call[User](ctx, c, "user.show", byName{name})
}

// AddUser serves Admin.
func (c *Client) AddUser(ctx context.Context, u NewUser) error {
	_, err := call[nothing](ctx, c, "user.add", u)
	return err
}

// ChangeUser serves Admin.
func (c *Client) ChangeUser(ctx context.Context, u UserChange) (User, error) {
	return call[User](ctx, c, "user.set", u)
}

// SetPassword serves Admin.
func (c *Client) SetPassword(ctx context.Context, p NewPassword) error {
	_, err := call[nothing](ctx, c, "user.passwd", p)
	return err
}

// SetDisabled serves Admin.
func (c *Client) SetDisabled(ctx context.Context, name string, disabled bool) error {
	_, err := call[nothing](ctx, c, "user.disable", setDisabled{name, disabled})
	return err
}

// DeleteUser serves Admin.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	_, err := call[nothing](ctx, c, "user.delete", byName{name})
	return err
}

// Explain serves Admin.
func (c *Client) Explain(ctx context.Context, q ExplainRequest) (proxy.Explanation, error) {
	return call[proxy.Explanation](ctx, c, "explain", q)
}

// call asks one question and reads one answer.
func call[A any](ctx context.Context, c *Client, name string, q any) (a A, err error) {
	resp, err := c.post(ctx, name, q)
	if err != nil {
		return a, err
	}
	body := resp.Body
	defer body.Close() //nolint:errcheck // it was read to its end, or given up
	if err := json.NewDecoder(body).Decode(&a); err != nil {
		return a, fmt.Errorf("%s: read answer: %w", name, err)
	}
	return a, nil
}

// failureStart begins a failure, and nothing that is listed.
var failureStart = []byte(`{"error":`)

// each asks one question and yields an answer a line.
func each[A any](ctx context.Context, c *Client, name string, q any) iter.Seq2[A, error] {
	return func(yield func(A, error) bool) {
		var none A
		resp, err := c.post(ctx, name, q)
		if err != nil {
			yield(none, err)
			return
		}
		body := resp.Body
		defer body.Close() //nolint:errcheck // it was read to its end, or given up
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if bytes.HasPrefix(lines.Bytes(), failureStart) {
				var f failure
				if json.Unmarshal(lines.Bytes(), &f) == nil && f.Error != "" {
					yield(none, f.error())
					return
				}
			}
			var a A
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				yield(none, fmt.Errorf("%s: read answer: %w", name, err))
				return
			}
			if !yield(a, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(none, fmt.Errorf("%s: read answer: %w", name, err))
		}
	}
}

func (c *Client) post(ctx context.Context, name string, q any) (*http.Response, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+name, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // it was read to its end, or given up
	var f failure
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("%s: the server answers %s", name, resp.Status)
	}
	return nil, f.error()
}

// A remoteError is a failure with the sentinel that it had on the other side.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

func (f failure) error() error {
	switch {
	case len(f.Problems) > 0:
		return config.Problems(f.Problems)
	case f.NoUser:
		return &remoteError{f.Error, ErrNoUser}
	case f.NoSession:
		return &remoteError{f.Error, ErrNoSession}
	case f.Exists:
		return &remoteError{f.Error, ErrExists}
	default:
		return &remoteError{f.Error, nil}
	}
}
