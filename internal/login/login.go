// Package login signs a person in to SSO, in the browser (authorization code
// with PKCE) or with a code typed elsewhere (device authorization), ends
// sign-ins, and lists the accounts and roles of one who is signed in. Tokens go
// where all AWS tools look for them. It opens nothing and asks nothing unless
// somebody typed the command for it.
package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// Service is the OIDC service of the session to sign in to. Errors are
// *usererr.Error that wrap those of package sso.
type Service interface {
	AuthorizeURL() (string, error)
	Register(ctx context.Context, n sso.NewClient) (sso.Client, error)
	StartDevice(ctx context.Context, c sso.Client) (sso.Device, error)
	CreateToken(ctx context.Context, c sso.Client, g sso.Grant) (sso.Granted, error)
}

// Config of one sign-in.
type Config struct {
	Session sso.Session
	Service Service
	Cache   sso.Cache
	// Pending is the file that keeps two sign-ins from waiting at once; its
	// directory is there.
	Pending string
	// Device asks for a code instead of a browser on this machine.
	Device bool
	// Patience is how long the browser may take. Zero: 5 minutes.
	Patience time.Duration
	// Open opens a page in the person's browser. Nil: the person does. Where it
	// fails a code is asked for instead.
	Open func(ctx context.Context, url string) error
	// Tell shows the person what to do. It is called once for each way that is
	// tried, and must return.
	Tell func(Pending)
}

// Pending is a sign-in that waits for a person.
type Pending struct {
	Page   string    // to open
	Code   string    // to type there; "": none, the page is this machine's browser's
	Full   string    // the page with the code in it; "": none
	Opened bool      // a browser has been told to open Page
	Until  time.Time // then it is over
}

// Done is a sign-in that worked.
type Done struct {
	Expires     time.Time // of the access token
	Refreshable bool      // it goes on after that, until the service says no
	// Skew is how far this machine's clock is ahead of the service's; zero: not
	// known, or less than a minute.
	Skew time.Duration
}

// SignIn waits for a person to sign in and keeps the token. Nothing is kept of
// a sign-in that fails or is given up. Errors tell what to do next: they are
// *usererr.Error, *PendingError or *Error.
func SignIn(ctx context.Context, c Config) (Done, error) {
	if c.Patience == 0 {
		c.Patience = browserWait
	}
	release, err := hold(c.Pending, c.Session.Name)
	if err != nil {
		return Done{}, err
	}
	defer release()
	if err := c.Cache.Check(c.Session); err != nil { // before a person is asked in vain
		return Done{}, &Error{fmt.Sprintf("the token could not be kept: %v", err), hintCache}
	}
	client, got, err := c.sign(ctx)
	if err != nil {
		return Done{}, c.explain(ctx, err)
	}
	t := sso.Token{StartURL: c.Session.StartURL, Region: c.Session.Region, Access: got.Access, Refresh: got.Refresh,
		Expires: time.Now().Round(0).Add(got.Lifetime), Client: client}
	unlock := c.Cache.Lock(context.WithoutCancel(ctx), c.Session)
	defer unlock()
	if err := c.Cache.Write(c.Session, t); err != nil {
		return Done{}, &Error{fmt.Sprintf("signed in, but the token cannot be kept: %v", err), hintCache}
	}
	done := Done{Expires: t.Expires, Refreshable: t.Refreshable()}
	if !got.ObservedAt.IsZero() {
		if skew := time.Now().Round(0).Sub(got.ObservedAt); skew.Abs() > time.Minute {
			done.Skew = skew.Round(time.Second)
		}
	}
	return done, nil
}

const hintCache = "ls -ld ~/.aws/sso/cache: it must be a directory of yours, that you may write to"

var errNoBrowser = errors.New("no browser could be opened")

func (c Config) sign(ctx context.Context) (sso.Client, sso.Granted, error) {
	if c.Device {
		return c.device(ctx)
	}
	client, got, err := c.browser(ctx)
	if errors.Is(err, errNoBrowser) {
		return c.device(ctx)
	}
	return client, got, err
}

// Error is a sign-in that did not work.
type Error struct{ Msg, Fix string }

func (e *Error) Error() string { return e.Msg }

// Hint is the next command to type, or the setting to change.
func (e *Error) Hint() string { return e.Fix }

// explain puts the service's refusals in the words of one who signs in.
func (c Config) explain(ctx context.Context, err error) error {
	var known *Error
	again := c.Session.Command()
	where := fmt.Sprintf("%s in region %s", c.Session.StartURL, c.Session.Region)
	e := usererr.From(err)
	switch {
	case errors.As(err, &known) && known.Fix == "": // of the page
		return &Error{known.Msg, again + "; or check start URL and region: " + where}
	case errors.As(err, &known), ctx.Err() != nil:
		return err
	case errors.Is(err, sso.ErrDenied):
		return &Error{"the sign-in was denied", "allow it on the page that opens: " + again}
	case errors.Is(err, sso.ErrExpired):
		return &Error{"the code has ended before anybody approved it", again}
	case errors.Is(err, sso.ErrInvalidGrant):
		return &Error{"the service does not take the code: it was used already, or has ended", again}
	case e.Code == usererr.NotConfigured, e.Code == usererr.AccessDenied, errors.Is(err, sso.ErrInvalidClient):
		return &Error{e.Msg, "check start URL and region: " + where}
	case e.Code == usererr.Unavailable && e.Hint == "":
		return &usererr.Error{Code: e.Code, Msg: e.Msg, Hint: "check the network, and start URL and region: " + where, Err: e}
	}
	return e
}

// clientName is what the service shows a person who allows the sign-in.
func clientName(s sso.Session) string {
	if s.Section {
		return "rolecall-" + s.Name
	}
	return "rolecall"
}

// client is the cached registration, or a new one, which is kept.
func (c Config) client(ctx context.Context, browser bool) (client sso.Client, cached bool, err error) {
	if client, ok := c.Cache.Registration(c.Session, browser, time.Now()); ok {
		return client, true, nil
	}
	n := sso.NewClient{Name: clientName(c.Session), Scopes: c.Session.Scopes}
	if n.Scopes == nil && (browser || c.Session.Section) {
		// Without a scope the service gives no refresh token. Sign-ins of the
		// older kind have none in the AWS CLI either.
		n.Scopes = []string{sso.DefaultScope}
	}
	if browser {
		n.Grants, n.Redirects, n.IssuerURL = []string{sso.GrantCode, sso.GrantRefresh}, []string{redirectBase}, c.Session.StartURL
	}
	if client, err = c.Service.Register(ctx, n); err != nil {
		return sso.Client{}, false, err
	}
	// A registration that cannot be kept is made again next time.
	_ = c.Cache.KeepRegistration(c.Session, client, n.Scopes, n.Grants)
	return client, false, nil
}
