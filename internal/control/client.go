package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"rolecall/internal/usererr"
	"syscall"
	"time"
)

// ErrNoDaemon is the error of every call when no daemon listens at the socket.
var ErrNoDaemon = errors.New("no daemon is running")

// Client speaks to the daemon at a unix socket.
type Client struct{ http http.Client }

// NewClient returns a client for the socket at path. It connects with the
// first call.
func NewClient(path string) *Client {
	var d net.Dialer
	return &Client{http.Client{Transport: &http.Transport{
		Proxy:             nil,
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		},
	}}}
}

// statusTime is what a daemon gets that is busy; one that works waits for nobody
// to tell its status.
const statusTime = 5 * time.Second

// Status asks for all there is to tell, of a daemon that hangs for 5 s.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	limited, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	err = c.do(limited, http.MethodGet, "/v1/status", nil, &s)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = &usererr.Error{Code: usererr.Unavailable, Msg: "the daemon has not answered at its socket for " + statusTime.String(),
			Hint: "is it stopped, or does it hang? look at its log, and start it anew", Err: err}
	}
	return s, err
}

// Load fills a slot. A result with Err set says that the load failed, and that
// the slot goes on trying.
func (c *Client) Load(ctx context.Context, r LoadRequest) (a LoadResult, err error) {
	return a, c.do(ctx, http.MethodPost, "/v1/load", r, &a)
}

// SignIn gives the code of an MFA device.
func (c *Client) SignIn(ctx context.Context, r SignInRequest) (a SignInResult, err error) {
	return a, c.do(ctx, http.MethodPost, "/v1/sign-in", r, &a)
}

// Unload empties slots and answers with their names.
func (c *Client) Unload(ctx context.Context, r UnloadRequest) (names []string, err error) {
	return names, c.do(ctx, http.MethodPost, "/v1/unload", r, &names)
}

// Refresh asks the source of a slot now.
func (c *Client) Refresh(ctx context.Context, r RefreshRequest) (s Slot, err error) {
	return s, c.do(ctx, http.MethodPost, "/v1/refresh", r, &s)
}

// Reload makes the daemon read its configuration anew.
func (c *Client) Reload(ctx context.Context) (a ReloadResult, err error) {
	return a, c.do(ctx, http.MethodPost, "/v1/reload", struct{}{}, &a)
}

// do is one call. Its error is ErrNoDaemon or a *usererr.Error.
func (c *Client) do(ctx context.Context, method, path string, q, a any) error {
	var body io.Reader
	if q != nil {
		b, err := json.Marshal(q)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://rolecall"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return ErrNoDaemon
		}
		if errors.Is(err, fs.ErrPermission) {
			return &usererr.Error{Code: usererr.AccessDenied, Msg: "the daemon's socket belongs to another user", Err: err}
		}
		if ctx.Err() != nil {
			return usererr.From(ctx.Err())
		}
		return &usererr.Error{Code: usererr.Unavailable, Msg: "the daemon does not answer at its socket", Hint: "is it stopping? see: rolecall status", Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	d := json.NewDecoder(io.LimitReader(resp.Body, 64<<20))
	if resp.StatusCode == http.StatusOK {
		if err := d.Decode(a); err != nil {
			return &usererr.Error{Code: usererr.Internal, Msg: "the daemon's answer cannot be read; is it of the same version?", Err: err}
		}
		return nil
	}
	var e Error
	if err := d.Decode(&e); err != nil || e.Code == "" {
		return &usererr.Error{Code: usererr.Internal, Msg: "the daemon answered with HTTP status " + resp.Status, Err: err}
	}
	return e.Retrieve()
}
