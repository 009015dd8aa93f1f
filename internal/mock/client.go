package mock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// ErrNoMock is the error of every call when no mock answers at the URL.
var ErrNoMock = errors.New("no mock answers there")

// Client changes a mock that runs.
type Client struct {
	base string
	http http.Client
}

// NewClient returns a client for the mock at one of its two URLs; only scheme and host count. The host must be
// a loopback address: nothing else can be a mock's.
func NewClient(at string) (*Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Port() == "" {
		return nil, wrong("the mock's URL is like http://127.0.0.1:PORT", "")
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil, wrong("the mock's URL has a host that is not loopback", "")
	}
	return &Client{base: "http://" + u.Host, http: http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Status asks what is in force.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return c.do(ctx, http.MethodGet, pathStatus, nil)
}

// Set puts faults into force in place of those that are, or with add after them.
func (c *Client) Set(ctx context.Context, faults []string, add bool) (Status, error) {
	return c.do(ctx, http.MethodPost, pathFaults, setRequest{Faults: faults, Add: add})
}

// Clear makes the mock as it was at its start, but without faults.
func (c *Client) Clear(ctx context.Context) (Status, error) {
	return c.do(ctx, http.MethodDelete, pathFaults, nil)
}

func (c *Client) do(ctx context.Context, method, path string, q any) (s Status, err error) {
	var body io.Reader
	if q != nil {
		b, err := json.Marshal(q)
		if err != nil {
			return s, err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return s, err
	}
	r.Header.Set(adminHeader, "1")
	resp, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		return s, ErrNoMock
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return s, ErrNoMock
	}
	if resp.StatusCode != http.StatusOK {
		var no refusal
		if json.Unmarshal(b, &no) != nil || no.Message == "" {
			return s, ErrNoMock
		}
		return s, wrong(no.Message, no.Hint)
	}
	if err := json.Unmarshal(b, &s); err != nil || s.IMDS == "" {
		return s, fmt.Errorf("%w: the answer is another server's", ErrNoMock)
	}
	return s, nil
}
