package login

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"rolecall/internal/privatefile"
	"rolecall/internal/sso"
)

// Lists keeps the accounts and roles that were found, one file for each
// session, readable by their owner only. Which roles there are is no secret to
// the service, but it is to others on this machine.
type Lists struct{ dir string }

const maxList = 64 << 20 // bytes

// NewLists keeps them in dir, which is made when the first is written.
func NewLists(dir string) Lists { return Lists{dir} }

// List is what was found for a session.
type List struct {
	StartURL string        `json:"start_url"`
	Region   string        `json:"region"`
	Listed   time.Time     `json:"listed"` // zero: it may be that of another person by now
	Accounts []sso.Account `json:"accounts"`
}

func (l Lists) path(s sso.Session) string {
	sum := sha1.Sum([]byte(s.CacheKey()))
	return filepath.Join(l.dir, hex.EncodeToString(sum[:])+".json")
}

// Read is the list of a session; fs.ErrNotExist where there is none, or none
// that is of its start URL.
func (l Lists) Read(s sso.Session) (List, error) {
	text, err := privatefile.Read(l.path(s), maxList)
	if err != nil {
		return List{}, err
	}
	list, ok := parseList(text)
	if !ok || !sso.SameURL(list.StartURL, s.StartURL) || list.Region != s.Region {
		return List{}, fs.ErrNotExist
	}
	return list, nil
}

func parseList(text []byte) (List, bool) {
	var list List
	return list, json.Unmarshal(text, &list) == nil && list.StartURL != ""
}

// Write keeps a list.
func (l Lists) Write(s sso.Session, accounts []sso.Account, listed time.Time) error {
	text, err := json.Marshal(List{s.StartURL, s.Region, listed.UTC().Truncate(time.Second), accounts})
	if err != nil {
		return err
	}
	if err := privatefile.EnsureDir(l.dir); err != nil {
		return err
	}
	return privatefile.Write(l.path(s), text)
}

// Outdate makes a list one that is to be asked for anew: another person may
// have signed in.
func (l Lists) Outdate(s sso.Session) {
	if list, err := l.Read(s); err == nil {
		_ = l.Write(s, list.Accounts, time.Time{}) // else it is some hours old at most
	}
}

// Remove forgets a list.
func (l Lists) Remove(s sso.Session) error {
	if err := os.Remove(l.path(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Hold lets one process list a session at a time; false: another does.
func (l Lists) Hold(s sso.Session) (release func(), held bool, err error) {
	if err := privatefile.EnsureDir(l.dir); err != nil {
		return nil, false, err
	}
	f := flock.New(l.path(s)+".lock", flock.SetPermissions(0o600))
	ok, err := f.TryLock()
	if err != nil {
		return nil, false, fmt.Errorf("the list of roles cannot be locked: %w", err)
	}
	return func() { _ = f.Unlock() }, ok, nil
}
