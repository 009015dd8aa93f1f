package endpoint

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"rolecall/internal/peer"
)

// The time that an IMDS token may live, in seconds.
const (
	leastTokenTTL = 1
	mostTokenTTL  = 21600
)

// tokens makes and knows IMDS tokens without keeping any: a token is the time of
// its end and a MAC over that time and over who asked for it, with a key that
// lives as long as this process. So no flood of requests costs memory or takes
// another's token away, and a token of another daemon, or one that was handed
// to another user, is unknown.
type tokens struct {
	key   [sha256.Size]byte
	began time.Time // the zero of ends; monotonic, so that no step of the clock matters
	macs  sync.Pool // of *mac
}

// holder is who may use a token: a user of this machine, or an address.
type holder [17]byte

func holderOf(p peer.Peer, from netip.Addr) (h holder) {
	if p.Known {
		h[0] = 'u'
		binary.BigEndian.PutUint32(h[1:], p.UID)
		return h
	}
	h[0] = 'a'
	b := from.As16()
	copy(h[1:], b[:])
	return h
}

// A token is as long as EC2's: 56 characters of base64.
const (
	rawToken  = 8 + sha256.Size
	wireToken = (rawToken + 2) / 3 * 4
)

// mac is one computation with all the memory that it needs.
type mac struct {
	hash hash.Hash
	in   [8 + len(holder{})]byte
	sum  [sha256.Size]byte
}

func newTokens() *tokens {
	t := &tokens{began: time.Now()}
	_, _ = rand.Read(t.key[:]) // never fails
	t.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, t.key[:])} }
	return t
}

func (t *tokens) issue(ttl time.Duration, to holder) string {
	var raw [rawToken]byte
	binary.BigEndian.PutUint64(raw[:], uint64(time.Since(t.began)+ttl))
	t.sign(raw[:8], to, raw[8:])
	return base64.URLEncoding.EncodeToString(raw[:])
}

// knows says whether a token was issued by us to that holder and has not ended.
// The MAC is compared in constant time, and before the end is looked at.
func (t *tokens) knows(token string, from holder) bool {
	if len(token) != wireToken {
		return false
	}
	var text [wireToken]byte
	copy(text[:], token)
	var raw [wireToken]byte
	n, err := base64.URLEncoding.Strict().Decode(raw[:], text[:])
	if err != nil || n != rawToken {
		return false
	}
	var want [sha256.Size]byte
	t.sign(raw[:8], from, want[:])
	if subtle.ConstantTimeCompare(raw[8:rawToken], want[:]) != 1 {
		return false
	}
	return uint64(time.Since(t.began)) < binary.BigEndian.Uint64(raw[:8])
}

func (t *tokens) sign(end []byte, h holder, to []byte) {
	m := t.macs.Get().(*mac)
	copy(m.in[:8], end)
	copy(m.in[8:], h[:])
	m.hash.Reset()
	_, _ = m.hash.Write(m.in[:])
	copy(to, m.hash.Sum(m.sum[:0]))
	t.macs.Put(m)
}

const (
	tokenHeader    = "X-Aws-Ec2-Metadata-Token"
	tokenTTLHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

// tokenTTL is the life that a request asks for; false unless there is exactly
// one, in digits, from 1 to 21600.
func tokenTTL(h http.Header) (seconds int, ok bool) {
	v := h[tokenTTLHeader]
	if len(v) != 1 {
		return 0, false
	}
	return parseTTL(v[0])
}

func parseTTL(s string) (seconds int, ok bool) {
	if len(s) == 0 || len(s) > 5 { // of 21600
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= leastTokenTTL && n <= mostTokenTTL
}
