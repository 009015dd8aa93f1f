package source

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	oidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
	"github.com/gofrs/flock"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
)

const (
	maxCacheFile = 1 << 20         // bytes
	lockWait     = 5 * time.Second // then go on without the lock
	// A token with less life than this is refreshed, so that it does not end on
	// the way.
	tokenSlack = time.Minute
)

// ssoToken is the file in ~/.aws/sso/cache that `aws sso login` writes and that
// every AWS tool refreshes. All of them share it, so it is read at each use and
// written only under a lock, after reading it again.
type ssoToken struct {
	r         *Resolver
	path      string
	oidc      service
	loginHint string
}

// cachedToken is what is read of the file. All fields are kept when it is
// written, also those that are unknown here.
type cachedToken struct {
	access, refresh        creds.Secret
	clientID, clientSecret creds.Secret
	expires                time.Time
	fields                 map[string]json.RawMessage
}

// ssoCachePath names the token's file as the AWS CLI does.
func (r *Resolver) ssoCachePath(key string) (string, error) {
	if r.cfg.Home == "" {
		return "", r.notConfigured("there is no home directory to read .aws/sso/cache from", "set HOME")
	}
	sum := sha1.Sum([]byte(key))
	return filepath.Join(r.cfg.Home, ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json"), nil
}

// get returns an access token other than rejected, refreshing it where it has
// ended.
func (t *ssoToken) get(ctx context.Context, rejected creds.Secret) (creds.Secret, error) {
	cached, err := t.read()
	if err != nil {
		return creds.Secret{}, err
	}
	if cached.good(tokenSlack, rejected) {
		return cached.access, nil
	}
	if cached.refreshable() {
		unlock := t.lock(ctx)
		defer unlock()
		if cached, err = t.read(); err != nil { // another process may have been faster
			return creds.Secret{}, err
		}
		if cached.good(tokenSlack, rejected) {
			return cached.access, nil
		}
		fresh, failed := t.refresh(ctx, cached, rejected)
		if failed == nil {
			return fresh, nil
		}
		err = failed
	}
	switch {
	case cached.good(0, rejected):
		return cached.access, nil
	case err != nil:
		return creds.Secret{}, err
	}
	return creds.Secret{}, t.loginRequired("the sign-in to SSO has ended", nil)
}

// good says whether the token has more than slack left by the wall clock and
// is not the one that was rejected.
func (c cachedToken) good(slack time.Duration, rejected creds.Secret) bool {
	return c.expires.Sub(time.Now().Round(0)) > slack && c.access.Reveal() != rejected.Reveal()
}

func (c cachedToken) refreshable() bool {
	return !c.refresh.IsZero() && !c.clientID.IsZero() && !c.clientSecret.IsZero()
}

// lock waits for other processes of this kind. The AWS CLI takes no lock, which
// is why refresh looks at the file again when its token turns out to be used up.
func (t *ssoToken) lock(ctx context.Context) (unlock func()) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	l := flock.New(t.path+".lock", flock.SetPermissions(0o600))
	if ok, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil || !ok {
		return func() {}
	}
	return func() { _ = l.Unlock() }
}

// refresh trades the refresh token, which is good for one use, for new tokens.
func (t *ssoToken) refresh(ctx context.Context, cached cachedToken, rejected creds.Secret) (creds.Secret, error) {
	client, err := t.r.oidcClient(t.oidc)
	if err != nil {
		return creds.Secret{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.CreateToken(ctx, &ssooidc.CreateTokenInput{
		ClientId:     aws.String(cached.clientID.Reveal()),
		ClientSecret: aws.String(cached.clientSecret.Reveal()),
		RefreshToken: aws.String(cached.refresh.Reveal()),
		GrantType:    aws.String("refresh_token"),
	})
	var used *oidctypes.InvalidGrantException
	if errors.As(err, &used) {
		var again cachedToken
		if settles(ctx, func() bool { again, err = t.read(); return err == nil && again.good(0, rejected) }) {
			return again.access, nil
		}
		err = used
	}
	if err != nil {
		failed := operation{
			name:      "sso-oidc CreateToken",
			secrets:   []creds.Secret{cached.clientSecret, cached.refresh, cached.access},
			loginHint: t.loginHint, deniedHint: t.loginHint,
			changed: fileChanged(t.path),
		}.failed(err, seen)
		if failed.Code == creds.LoginRequired || failed.Code == creds.AccessDenied || failed.Code == creds.NotConfigured {
			return creds.Secret{}, t.loginRequired("the sign-in to SSO has ended and cannot be refreshed", failed.Err)
		}
		return creds.Secret{}, failed
	}
	if aws.ToString(out.AccessToken) == "" || out.ExpiresIn <= 0 {
		return creds.Secret{}, unavailable("sso-oidc answered CreateToken without a token", "")
	}
	access := creds.NewSecret(*out.AccessToken)
	if err := t.write(cached, out); err != nil {
		// The token is good for its hour; that the next one may need a person
		// has to be said now.
		t.r.warn("the refreshed SSO token cannot be kept in " + t.path + ": " + fileWords(err))
	}
	return access, nil
}

func (t *ssoToken) write(cached cachedToken, out *ssooidc.CreateTokenOutput) error {
	set := func(key, value string) {
		if value != "" {
			cached.fields[key], _ = json.Marshal(value) // a string always encodes
		}
	}
	set("accessToken", aws.ToString(out.AccessToken))
	set("refreshToken", aws.ToString(out.RefreshToken))
	set("expiresAt", time.Now().Add(time.Duration(out.ExpiresIn)*time.Second).UTC().Format(time.RFC3339))
	text, err := json.MarshalIndent(cached.fields, "", "  ")
	if err != nil {
		return err
	}
	return privatefile.Write(t.path, text)
}

// read loads the file. Nothing of its content gets into an error.
func (t *ssoToken) read() (cachedToken, error) {
	text, err := readSmall(t.path, maxCacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return cachedToken{}, t.loginRequired("nobody has signed in to SSO", nil)
	}
	if err != nil {
		return cachedToken{}, t.r.notConfigured("the cached SSO token cannot be read: "+err.Error(), "correct the permissions of "+t.path)
	}
	c, ok := parseToken(text)
	if !ok && settles(context.Background(), func() bool {
		text, err := readSmall(t.path, maxCacheFile)
		if err == nil {
			c, ok = parseToken(text)
		}
		return ok
	}) {
		return c, nil
	}
	if !ok {
		return cachedToken{}, t.loginRequired("the cached SSO token in "+t.path+" is damaged", nil)
	}
	return c, nil
}

// parseToken reads the cache file's JSON; ok says whether it holds a token.
func parseToken(text []byte) (c cachedToken, ok bool) {
	if json.Unmarshal(text, &c.fields) != nil {
		return cachedToken{}, false
	}
	field := func(name string) creds.Secret {
		var s string
		if json.Unmarshal(c.fields[name], &s) != nil {
			return creds.Secret{}
		}
		return creds.NewSecret(s)
	}
	c.access, c.refresh = field("accessToken"), field("refreshToken")
	c.clientID, c.clientSecret = field("clientId"), field("clientSecret")
	expires := field("expiresAt").Reveal()
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05UTC"} { // the latter by AWS CLI 2.0
		if at, err := time.Parse(layout, expires); err == nil {
			c.expires = at
		}
	}
	return c, !c.access.IsZero() && !c.expires.IsZero()
}

func (t *ssoToken) loginRequired(msg string, cause error) error {
	return &creds.RetrieveError{Code: creds.LoginRequired, Msg: msg, Hint: t.loginHint, Changed: fileChanged(t.path), Err: cause}
}

// fileWords is why a file operation failed, without paths that repeat.
func fileWords(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
