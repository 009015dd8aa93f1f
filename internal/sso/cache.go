package sso

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
)

const (
	maxFile  = 1 << 20         // bytes
	lockWait = 5 * time.Second // then go on without the lock
)

// Cache is the directory that all AWS tools share. It is read at each use, and
// written only under a lock.
type Cache struct{ dir string }

// ErrDamaged is the error of a file that holds no token.
var ErrDamaged = errors.New("the file holds no token")

// NewCache is the cache of the user whose home directory this is. The error
// says that there is none.
func NewCache(home string) (Cache, error) {
	if home == "" {
		return Cache{}, &FileError{"there is no home directory to read .aws/sso/cache from", "set HOME"}
	}
	return Cache{filepath.Join(home, ".aws", "sso", "cache")}, nil
}

// TokenPath is the file of a session's token.
func (c Cache) TokenPath(s Session) string { return c.path(s.CacheKey()) }

func (c Cache) path(key string) string {
	sum := sha1.Sum([]byte(key))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+".json")
}

// Read loads a session's token. Errors: fs.ErrNotExist, ErrDamaged, or why the
// file cannot be read; nothing of its content gets into them.
func (c Cache) Read(s Session) (Token, error) {
	text, err := read(c.TokenPath(s))
	if err != nil {
		return Token{}, err
	}
	t, ok := ParseToken(text)
	if !ok {
		return Token{}, ErrDamaged
	}
	return t, nil
}

// Write keeps a session's token, readable by its owner only, all of it or not
// at all.
func (c Cache) Write(s Session, t Token) error { return c.write(c.TokenPath(s), t.encode()) }

func (c Cache) write(path string, text []byte) error {
	// The directory is the AWS CLI's, which makes it 0755; files are 0600.
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	return privatefile.Write(path, text)
}

// Check says why a session's token could not be written.
func (c Cache) Check(s Session) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if info, err := os.Lstat(c.TokenPath(s)); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory", c.TokenPath(s))
	}
	f, err := os.CreateTemp(c.dir, ".rolecall-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Remove forgets a session's token. One that is not there is no error.
func (c Cache) Remove(s Session) error {
	err := os.Remove(c.TokenPath(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Lock waits up to five seconds for other processes of this kind that change a
// session's token, and goes on without the lock then. The AWS CLI takes none.
func (c Cache) Lock(ctx context.Context, s Session) (unlock func()) { return Lock(ctx, c.TokenPath(s)) }

// Lock is the lock of any one file of this kind.
func Lock(ctx context.Context, path string) (unlock func()) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	l := privatefile.NewLock(path + ".lock")
	if ok, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil || !ok {
		return func() {}
	}
	return func() { _ = l.Unlock() }
}

// GrantCode and GrantRefresh are those of a client for sign-ins in the browser.
const (
	GrantCode    = "authorization_code"
	GrantRefresh = "refresh_token"
)

// registrationSlack is how long a registration must live on, as in the AWS CLI.
const registrationSlack = 15 * time.Minute

// registrationPath names the file as the AWS CLI does: after the settings that
// make registrations differ.
func (c Cache) registrationPath(s Session) string {
	name := any(nil)
	if s.Section {
		name = s.Name
	}
	return c.path(string(object([]member{
		{"region", s.Region}, {"scopes", s.Scopes}, {"session_name", name}, {"startUrl", s.StartURL}, {"tool", "botocore"},
	})))
}

// Registration is the cached client for sign-ins in the browser, or with a
// code; false where there is none that is good for that, and for the session's
// scopes, for a while.
func (c Cache) Registration(s Session, browser bool, now time.Time) (Client, bool) {
	text, err := read(c.registrationPath(s))
	if err != nil {
		return Client{}, false
	}
	var r struct {
		ClientID, ClientSecret, ExpiresAt string
		Scopes, GrantTypes                []string
	}
	if json.Unmarshal(text, &r) != nil {
		return Client{}, false
	}
	client := Client{creds.NewSecret(r.ClientID), creds.NewSecret(r.ClientSecret), parseTime(r.ExpiresAt)}
	usable := !client.ID.IsZero() && !client.Secret.IsZero() && client.Expires.Sub(now) > registrationSlack
	fits := slices.Contains(r.GrantTypes, GrantCode) == browser && (r.Scopes == nil && s.Scopes == nil || covers(r.Scopes, s.Scopes))
	return client, usable && fits
}

// KeepRegistration caches a client. grants is nil for sign-ins with a code, as
// in the AWS CLI.
func (c Cache) KeepRegistration(s Session, client Client, scopes, grants []string) error {
	members := []member{{"clientId", client.ID.Reveal()}, {"clientSecret", client.Secret.Reveal()}, {"expiresAt", client.Expires.UTC().Format(timeFormat)}}
	if scopes != nil {
		members = append(members, member{"scopes", scopes})
	}
	if grants != nil {
		members = append(members, member{"grantTypes", grants})
	}
	return c.write(c.registrationPath(s), object(members))
}

// ForgetRegistration drops a client that the service does not know any more.
func (c Cache) ForgetRegistration(s Session) { _ = os.Remove(c.registrationPath(s)) }

// read takes a file of a sensible size. Others' permission bits are the AWS
// CLI's business: some versions write 0644.
func read(path string) ([]byte, error) { return privatefile.ReadForeign(path, maxFile) }
