package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/config"
)

// A client calls the operations of the running server over its control socket. It
// is safe for concurrent use.
type client struct {
	http *http.Client
}

// Dial returns the Admin of the server that runs on the configuration's data_dir.
// It connects once, to find out whether there is a server; the error is
// ErrNoServer if there is none. A socket that belongs to another user is another
// error: see checkPeer.
func Dial(ctx context.Context, c *config.Config) (*Admin, error) {
	path := filepath.Join(c.DataDir, SocketFile)
	conn, err := dial(ctx, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w on data_dir %s", ErrNoServer, c.DataDir)
	} else if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// The connection above has only shown that a server is there; requests use
	// their own.
	return &Admin{remote: &client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
	}}}}, nil
}

// dial connects to a control socket and checks who is at the other end. The
// client sends password hashes and believes the responses, so a socket that
// another user has put there is refused before anything is sent. Every connection
// is checked.
func dial(ctx context.Context, path string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn, filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// checkPeer returns an error unless the process at the other end belongs to
// root, to the user of this process, or to the owner of the folder. Where the
// system cannot tell, the folder's mode has to protect the socket.
func checkPeer(conn net.Conn, dir string) error {
	uid, err := peerUID(conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
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

// mayServe reports whether a process of the user uid is accepted as the gate by a
// process of the user ours, where owner owns the folder of the socket.
func mayServe(uid, ours, owner uint32) bool { return uid == 0 || uid == ours || uid == owner }

// close closes idle connections. Requests under way are not interrupted.
func (c *client) close() error {
	c.http.CloseIdleConnections()
	return nil
}

// receive sends the request q of the operation name and decodes its one response.
func receive[Resp any](ctx context.Context, c *client, name string, q any) (resp Resp, err error) {
	r, err := c.post(ctx, name, q)
	if err != nil {
		return resp, err
	}
	body := r.Body
	defer body.Close() //nolint:errcheck // it was read to its end, or given up
	if err := json.NewDecoder(body).Decode(&resp); err != nil {
		return resp, fmt.Errorf("%s: read answer: %w", name, err)
	}
	return resp, nil
}

// failureStart is how the JSON of a failure begins. No item begins so.
var failureStart = []byte(`{"error":`)

// maxItem bounds the bytes of one item of a stream, and of a failure.
const maxItem = 1 << 20

// receiveAll sends the request q of the operation name and yields the items of
// the response as they arrive. It stops at the first error. The request is sent
// when the caller begins to iterate, and the connection is closed when the
// iteration ends early.
func receiveAll[Item any](ctx context.Context, c *client, name string, q any) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var nothing Item
		r, err := c.post(ctx, name, q)
		if err != nil {
			yield(nothing, err)
			return
		}
		body := r.Body
		defer body.Close() //nolint:errcheck // it was read to its end, or given up
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxItem)
		for lines.Scan() {
			item, err := decodeItem[Item](name, lines.Bytes())
			if !yield(item, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nothing, fmt.Errorf("%s: read answer: %w", name, err))
		}
	}
}

// decodeItem decodes one line of a stream. A line that is a failure is returned
// as its error.
func decodeItem[Item any](name string, line []byte) (item Item, err error) {
	if bytes.HasPrefix(line, failureStart) {
		var f failure
		if json.Unmarshal(line, &f) == nil && f.Error != "" {
			return item, f.err()
		}
	}
	if err := json.Unmarshal(line, &item); err != nil {
		return item, fmt.Errorf("%s: read answer: %w", name, err)
	}
	return item, nil
}

// post sends a request. It returns the response if the operation succeeded or
// its stream has begun; the caller closes the body. Every other response is an
// error.
func (c *client) post(ctx context.Context, name string, q any) (*http.Response, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+name, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	req.Header.Set(protocolHeader, protocol)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := checkResponse(name, resp); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, nil
}

// checkResponse returns nil for 200, and otherwise the error that the server
// sent. A server of another protocol, or one without the operation (404), is
// errOtherVersion.
func checkResponse(name string, resp *http.Response) error {
	v := resp.Header.Get(protocolHeader)
	switch {
	case v != "" && v != protocol, resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", name, errOtherVersion)
	case resp.StatusCode == http.StatusOK:
		return nil
	}
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxItem)).Decode(&f); err != nil || f.Error == "" {
		return fmt.Errorf("%s: the server answers %s", name, resp.Status)
	}
	return f.err()
}
