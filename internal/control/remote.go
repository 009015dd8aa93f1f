package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Remote speaks to a daemon over TCP: the REST API of its credentials endpoint,
// which the `aws-sso ecs` server has too. It can do less than Client.
type Remote struct {
	base  *url.URL
	token creds.Secret
	http  http.Client
}

const (
	remoteTimeout = 15 * time.Second // a cold answer takes the daemon up to 4.5 s
	maxAnswer     = 4 << 20
)

// NewRemote returns a client of the server at a URL, or at host:port, which is
// taken for plain HTTP. token is the authorization token; zero: none is sent.
func NewRemote(server string, token creds.Secret) (*Remote, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("not a URL such as http://127.0.0.1:4144")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the URL must begin with http:// or https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the URL must have no user, query or fragment; the authorization token comes from a file")
	case strings.Trim(u.Path, "/") != "":
		return nil, errors.New("the URL must have no path")
	}
	u.Path, u.RawPath = "", ""
	return &Remote{base: u, token: token, http: http.Client{
		Timeout: remoteTimeout,
		Transport: &http.Transport{
			Proxy:               nil, // the token is for this server and nobody between
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			DisableKeepAlives:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the server's, without a slash at its end.
func (r *Remote) URL() string { return r.base.String() }

// RemoteProfile is what the REST API tells of a slot.
type RemoteProfile struct {
	ProfileName string
	AccountID   string `json:"AccountId"`
	RoleName    string
	Expiration  int64  // Unix seconds; 0 when the slot holds nothing
	Expires     string // for people
}

// Profile tells what the default slot holds.
func (r *Remote) Profile(ctx context.Context) (p RemoteProfile, err error) {
	return p, r.do(ctx, http.MethodGet, "/profile", nil, &p)
}

// Profiles tells what the named slots hold.
func (r *Remote) Profiles(ctx context.Context) (list []RemoteProfile, err error) {
	return list, r.do(ctx, http.MethodGet, "/slot", nil, &list)
}

// Unload empties a slot; "" is the default slot.
func (r *Remote) Unload(ctx context.Context, slot string) error {
	return r.do(ctx, http.MethodDelete, slotPath(slot), nil, nil)
}

// UnloadNamed empties all named slots.
func (r *Remote) UnloadNamed(ctx context.Context) error {
	return r.do(ctx, http.MethodDelete, "/slot", nil, nil)
}

// Health says whether a slot has credentials to give; no token is needed.
func (r *Remote) Health(ctx context.Context, slot string) error {
	path := "/healthcheck"
	if slot != "" {
		path += slotPath(slot)
	}
	return r.do(ctx, http.MethodGet, path, nil, nil)
}

// Check asks for the credentials at an escaped path, as a program would, and
// drops them.
func (r *Remote) Check(ctx context.Context, path string) error {
	return r.do(ctx, http.MethodGet, path, nil, &struct{}{})
}

// Push puts credentials in a slot. They must have an end.
func (r *Remote) Push(ctx context.Context, slot, profile string, c creds.Credentials) error {
	account, _ := strconv.ParseInt(c.AccountID, 10, 64) // a number for aws-sso; 0 where it is not known
	return r.do(ctx, http.MethodPut, slotPath(slot), map[string]any{
		"ProfileName": profile,
		"Creds": map[string]any{
			"accountId":       account,
			"roleName":        c.RoleName,
			"accessKeyId":     c.AccessKeyID,
			"secretAccessKey": c.SecretAccessKey.Reveal(),
			"sessionToken":    c.SessionToken.Reveal(),
			"expiration":      c.Expires.UnixMilli(),
		},
	}, nil)
}

func slotPath(slot string) string {
	if slot == "" {
		return "/"
	}
	return "/slot/" + url.PathEscape(slot)
}

// do is one call. Its error is a *usererr.Error.
func (r *Remote) do(ctx context.Context, method, path string, q, a any) error {
	var body io.Reader
	if q != nil {
		b, err := json.Marshal(q)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL()+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rolecall")
	if q != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !r.token.IsZero() {
		// The aws-sso server wants the word before it, and ours takes both.
		req.Header.Set("Authorization", "Bearer "+strings.TrimPrefix(r.token.Reveal(), "Bearer "))
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return r.unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	d := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode == http.StatusOK {
		if a == nil {
			return nil
		}
		if err := d.Decode(a); err != nil {
			return &usererr.Error{Code: usererr.Unavailable, Msg: "the answer of " + r.URL() + " cannot be read; is it a rolecall or aws-sso server?"}
		}
		return nil
	}
	return r.refusal(resp, d)
}

// unreachable is the error when there was no answer. The cause is kept: a
// caller may tell a certificate's fault from others.
func (r *Remote) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return usererr.From(ctx.Err())
	}
	e := &usererr.Error{Code: usererr.Unavailable, Msg: "no answer from " + r.URL(), Err: err,
		Hint: "is the server running there? on its machine: rolecall status"}
	var inner *url.Error
	if errors.As(err, &inner) {
		e.Msg += ": " + inner.Err.Error()
	}
	return e
}

// refusal is the error that an answer other than 200 tells.
func (r *Remote) refusal(resp *http.Response, d *json.Decoder) error {
	var raw map[string]json.RawMessage // keys come in two spellings, which structs do not tell apart
	_ = d.Decode(&raw)                 // what is no JSON has no words
	word := func(keys ...string) string {
		for _, key := range keys {
			var s string
			if json.Unmarshal(raw[key], &s) == nil && s != "" {
				return s
			}
		}
		return ""
	}
	e := &usererr.Error{Code: usererr.Code(word("Code")), Msg: word("Message", "message", "status"), Hint: word("hint")}
	e.Msg = strings.TrimSuffix(e.Msg, " ("+e.Hint+")")
	if e.Msg == "" {
		e.Msg = r.URL() + " answered with HTTP status " + resp.Status
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	switch e.Code {
	case usererr.LoginRequired, usererr.AccessDenied, usererr.NotConfigured, usererr.Throttled, usererr.Unavailable, usererr.Internal:
		return e
	}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		e.Code = usererr.AccessDenied
		if s == http.StatusUnauthorized {
			e.Hint = "name the server's authorization token file with --token-file"
		}
	case s == http.StatusNotFound:
		e.Code = usererr.NotConfigured
	case s == http.StatusTooManyRequests:
		e.Code = usererr.Throttled
	case s >= 500:
		e.Code = usererr.Unavailable
	default:
		e.Code = usererr.Internal
	}
	return e
}

// stillAsking is how the daemon's answer begins while a first retrieval goes on.
const stillAsking = "the source has not answered yet"

// StillAsking says whether an error only tells that the source has not answered
// so far, and that the daemon goes on asking it.
func StillAsking(e *usererr.Error) bool {
	return e.Code == usererr.Unavailable && strings.HasPrefix(e.Msg, stillAsking)
}
