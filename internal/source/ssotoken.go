package source

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

const (
	maxCacheFile = 1 << 20 // bytes
	// A token with less life than this is refreshed, so that it does not end on
	// the way.
	tokenSlack = time.Minute
)

// ssoToken is the token of a session, in the file that every AWS tool reads and
// refreshes. All of them share it, so it is read at each use and written only
// under a lock, after reading it again.
type ssoToken struct {
	r         *Resolver
	cache     sso.Cache
	session   sso.Session
	path      string
	oidc      service
	loginHint string
	changed   func() bool // whether the file is another than before it was first read
}

// signIn is the cached one, when it ends without being renewed by itself.
func (t *ssoToken) signIn() (SignIn, bool) {
	token, err := t.cache.Read(t.session)
	if err != nil || token.Refreshable() || token.Foreign(t.session) != "" {
		return SignIn{}, false
	}
	return SignIn{Name: t.session.Name, Until: token.Expires, Command: t.session.Command()}, true
}

// get returns an access token other than rejected, refreshing it where it has
// ended.
func (t *ssoToken) get(ctx context.Context, rejected creds.Secret) (creds.Secret, error) {
	cached, err := t.read()
	if err != nil {
		return creds.Secret{}, err
	}
	if cached.Good(time.Now(), tokenSlack, rejected) {
		return cached.Access, nil
	}
	if cached.Refreshable() {
		unlock := t.cache.Lock(ctx, t.session)
		defer unlock()
		if cached, err = t.read(); err != nil { // another process may have been faster
			return creds.Secret{}, err
		}
		if cached.Good(time.Now(), tokenSlack, rejected) {
			return cached.Access, nil
		}
		fresh, failed := t.refresh(ctx, cached, rejected)
		if failed == nil {
			return fresh, nil
		}
		err = failed
	}
	switch {
	case cached.Good(time.Now(), 0, rejected):
		return cached.Access, nil
	case err != nil:
		return creds.Secret{}, err
	}
	return creds.Secret{}, t.loginRequired("the sign-in to SSO has ended", nil)
}

// refresh trades the refresh token, which is good for one use, for new tokens.
// The AWS CLI takes no lock, so the file is read again when the token turns out
// to be used up.
func (t *ssoToken) refresh(ctx context.Context, cached sso.Token, rejected creds.Secret) (creds.Secret, error) {
	calls := SSOService{r: t.r, oidc: t.oidc, loginHint: t.loginHint, changed: t.changed}
	got, err := calls.CreateToken(ctx, cached.Client, sso.Grant{Refresh: cached.Refresh})
	if errors.Is(err, sso.ErrInvalidGrant) {
		var again sso.Token
		if settles(ctx, func() bool { a, e := t.read(); again = a; return e == nil && a.Good(time.Now(), 0, rejected) }) {
			return again.Access, nil
		}
	}
	if failed := usererr.From(err); failed != nil {
		if failed.Code == usererr.LoginRequired || failed.Code == usererr.AccessDenied || failed.Code == usererr.NotConfigured {
			return creds.Secret{}, t.loginRequired("the sign-in to SSO has ended and cannot be refreshed", failed.Err)
		}
		return creds.Secret{}, failed
	}
	cached.Access, cached.Expires = got.Access, time.Now().Add(got.Lifetime)
	if !got.Refresh.IsZero() {
		cached.Refresh = got.Refresh
	}
	if err := t.cache.Write(t.session, cached); err != nil {
		// The token is good for its hour; that the next one may need a person
		// has to be said now.
		t.r.warn("the refreshed SSO token cannot be kept in " + t.path + ": " + fileWords(err))
	}
	return got.Access, nil
}

// read loads the file. Nothing of its content gets into an error.
func (t *ssoToken) read() (sso.Token, error) {
	cached, err := t.cache.Read(t.session)
	if errors.Is(err, sso.ErrDamaged) { // perhaps a tool that rewrites it is half done
		settles(context.Background(), func() bool { cached, err = t.cache.Read(t.session); return !errors.Is(err, sso.ErrDamaged) })
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sso.Token{}, t.loginRequired("nobody has signed in to SSO", nil)
	case errors.Is(err, sso.ErrDamaged):
		return sso.Token{}, t.loginRequired("the cached SSO token in "+t.path+" is damaged", nil)
	case err != nil:
		return sso.Token{}, t.r.notConfigured("the cached SSO token cannot be read: "+err.Error(), "correct the permissions of "+t.path)
	}
	if why := cached.Foreign(t.session); why != "" {
		return sso.Token{}, t.loginRequired("the cached SSO token in "+t.path+" "+why, nil)
	}
	return cached, nil
}

func (t *ssoToken) loginRequired(msg string, cause error) error {
	return &usererr.Error{Code: usererr.LoginRequired, Msg: msg, Hint: t.loginHint, Changed: t.changed, Err: cause}
}

// fileWords is why a file operation failed, without paths that repeat.
func fileWords(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
