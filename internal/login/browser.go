package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
)

// browserWait is how long a person has to sign in.
const browserWait = 5 * time.Minute

// browser signs in on a page in this machine's browser, which is sent back to a
// listener of ours with a code (RFC 6749 with PKCE, RFC 7636; RFC 8252).
func (c Config) browser(ctx context.Context) (sso.Client, sso.Granted, error) {
	base, err := c.Service.AuthorizeURL()
	if err != nil {
		return sso.Client{}, sso.Granted{}, err
	}
	client, _, err := c.client(ctx, true)
	if err != nil {
		return sso.Client{}, sso.Granted{}, err
	}
	state, verifier := random(), random()
	redirect, err := listenRedirect(state)
	if err != nil {
		return sso.Client{}, sso.Granted{}, &Error{"no port of 127.0.0.1 can be listened at for the browser's answer: " + err.Error(), c.Session.Command() + " --device"}
	}
	defer redirect.close()
	page := authorizePage(base, client, redirect.url, state, verifier, c.Session.Scopes)
	until := time.Now().Add(c.Patience)
	if c.Open != nil {
		if err := c.Open(ctx, page); err != nil {
			if ctx.Err() != nil {
				return sso.Client{}, sso.Granted{}, ctx.Err()
			}
			return sso.Client{}, sso.Granted{}, errNoBrowser
		}
	}
	c.Tell(Pending{Page: page, Opened: c.Open != nil, Until: until})
	got, err := c.answer(ctx, client, redirect, verifier)
	if err != nil && !errors.Is(err, sso.ErrDenied) {
		// A page that showed an error instead of sending the browser back may
		// have been asked with a client that the service has forgotten.
		c.Cache.ForgetRegistration(c.Session)
	}
	return client, got, err
}

// answer waits for the browser, and trades its code for a token. The browser is
// told how that went.
func (c Config) answer(ctx context.Context, client sso.Client, r *redirect, verifier string) (sso.Granted, error) {
	timer := time.NewTimer(c.Patience)
	defer timer.Stop()
	var a redirected
	select {
	case a = <-r.answers:
	case <-timer.C:
		return sso.Granted{}, &Error{fmt.Sprintf("nobody has signed in in the browser within %.0f minutes", c.Patience.Minutes()), c.Session.Command() + ", or the same with --device where the browser is on another machine"}
	case <-ctx.Done():
		return sso.Granted{}, ctx.Err()
	}
	var got sso.Granted
	err := a.err
	if err == nil {
		got, err = c.Service.CreateToken(ctx, client, sso.Grant{Code: a.code, Redirect: r.url, Verifier: creds.NewSecret(verifier)})
	}
	a.tell <- err == nil
	return got, err
}

func authorizePage(base string, client sso.Client, redirect, state, verifier string, scopes []string) string {
	if scopes == nil {
		scopes = []string{sso.DefaultScope}
	}
	sum := sha256.Sum256([]byte(verifier))
	// "scopes" is what the service's page and the AWS CLI call it, not "scope".
	return base + "?" + url.Values{
		"response_type": {"code"}, "client_id": {client.ID.Reveal()}, "redirect_uri": {redirect}, "state": {state},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "scopes": {strings.Join(scopes, " ")},
	}.Encode()
}

// random is 43 characters of 256 bits, fit for state and verifier.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}
