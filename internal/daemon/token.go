package daemon

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"strings"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
	"rolecall/internal/usererr"
)

// newToken is 256 bits of randomness in 43 characters that need no quoting.
func newToken() creds.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return creds.NewSecret(base64.RawURLEncoding.EncodeToString(b[:]))
}

// loadToken reads the authorization token, or makes one at the first start. The
// file holds nothing else: most SDKs refuse a newline at its end.
func (d *daemon) loadToken() error {
	if d.c.Private {
		d.token = newToken()
		return nil
	}
	dirs := d.c.Dirs
	if err := privatefile.EnsureDir(dirs.Runtime); err != nil {
		return fileError("the runtime directory cannot be used", err)
	}
	d.tokenFile = dirs.Token
	b, err := privatefile.Read(dirs.Token, 4096)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.token = newToken()
		if err := privatefile.Write(dirs.Token, []byte(d.token.Reveal())); err != nil {
			return fileError("the authorization token cannot be kept", err)
		}
		return nil
	case err != nil:
		return fileError("the authorization token cannot be read", err)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if len(text) < 16 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &usererr.Error{Code: usererr.NotConfigured, Msg: "the file " + dirs.Token + " holds no usable authorization token (16 or more printable characters)",
			Hint: "remove it, and rolecall makes a new one"}
	}
	d.token = creds.NewSecret(text)
	if text != string(b) { // kinder than to fail: SDKs would refuse the newline
		if err := privatefile.Write(dirs.Token, []byte(text)); err != nil {
			return fileError("the newline at the end of the authorization token cannot be taken away", err)
		}
	}
	return nil
}

// fileError is err, which names the path, with its own hint where it has one.
func fileError(what string, err error) error {
	e := &usererr.Error{Code: usererr.NotConfigured, Msg: what + ": " + err.Error(), Err: err}
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		e.Hint = h.Hint()
	}
	return e
}
