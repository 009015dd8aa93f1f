package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
)

// A link is a second key of an entry: one that a short-lived process can work
// out without resolving the source, which takes longer than all the rest. It
// holds the entry's name, and a keyed hash so that nobody without the store key
// can lead one source's link to the credentials of another.

// Link makes alias lead to the entry of key.
func (f *File) Link(alias, key string) {
	from, to := f.c.Sealer.Name(alias), f.c.Sealer.Name(key)
	path := f.path(from, linkExt)
	want := to + " " + f.c.Sealer.sign(from, to) + "\n"
	if have, err := privatefile.Read(path, 1024); err == nil && string(have) == want {
		return
	}
	if err := privatefile.Write(path, []byte(want)); err != nil {
		f.warn("credentials are not kept for a restart or for other processes: %v", err)
	}
}

// PeekLink is Peek for an alias that Link has made.
func (f *File) PeekLink(alias string) (c creds.Credentials, left time.Duration, ok bool) {
	from := f.c.Sealer.Name(alias)
	text, err := privatefile.Read(f.path(from, linkExt), 1024)
	if err != nil {
		return c, 0, false
	}
	to, sum, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	if !isName(to) || !hmac.Equal([]byte(sum), []byte(f.c.Sealer.sign(from, to))) {
		return c, 0, false
	}
	e, err := f.read(to)
	return e.c, e.left, err == nil
}

// sign is a keyed hash over a link.
func (s *Sealer) sign(from, to string) string {
	h := hmac.New(sha256.New, s.names)
	h.Write([]byte("link\x00" + from + "\x00" + to))
	return hex.EncodeToString(h.Sum(nil))
}
