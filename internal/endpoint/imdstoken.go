package endpoint

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/peercred"
)

// The time that an IMDS token may live, in seconds.
const (
	leastTokenTTL = 1
	mostTokenTTL  = 21600
)

// tokens makes and knows IMDS tokens without keeping any: a token is the time of
// its end, sealed for who asked for it with a key that lives as long as this
// process. So no flood of requests costs memory or takes another's token away,
// and a token of another daemon, or one that was handed to another user, is
// unknown.
type tokens struct {
	seal  cipher.AEAD
	made  atomic.Uint64 // how many; each has a nonce of its own
	began time.Time     // the zero of ends; monotonic, so that no step of the clock matters
	rooms sync.Pool     // of *tokenRoom
}

// holder is who may use a token: a user of this machine, or an address.
type holder [17]byte

func holderOf(p peercred.Peer, from netip.Addr) (h holder) {
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

// What a token is made of: its number, and its end and a tag, sealed.
const (
	nonceLen  = 12
	endLen    = 8
	rawToken  = nonceLen + endLen + 16
	wireToken = rawToken / 3 * 4 // base64 without padding
)

// tokenRoom is the memory for one look at a token, which would otherwise be
// taken anew for each request.
type tokenRoom struct {
	text [wireToken]byte
	raw  [rawToken]byte
	end  [endLen]byte
	who  holder
}

func newTokens() *tokens {
	var key [32]byte
	_, _ = rand.Read(key[:])          // never fails
	block, _ := aes.NewCipher(key[:]) // a key of this length cannot be wrong
	seal, _ := cipher.NewGCM(block)   // nor a block of AES
	t := &tokens{seal: seal, began: time.Now()}
	t.rooms.New = func() any { return new(tokenRoom) }
	return t
}

func (t *tokens) issue(ttl time.Duration, to holder) string {
	r := t.rooms.Get().(*tokenRoom)
	defer t.rooms.Put(r)
	nonce := r.raw[:nonceLen]
	binary.BigEndian.PutUint64(nonce[nonceLen-8:], t.made.Add(1))
	binary.BigEndian.PutUint64(r.end[:], uint64(time.Since(t.began)+ttl))
	r.who = to
	t.seal.Seal(nonce, nonce, r.end[:], r.who[:])
	return base64.URLEncoding.EncodeToString(r.raw[:])
}

// opened is the token that a connection, which has one holder, showed last. It
// need not be opened again, which takes most of the time of a look at a token.
type opened struct {
	text [wireToken]byte
	end  time.Duration // see tokens.began; zero: none was shown
}

// knows says whether a token was issued by us to that holder and has not ended.
// The seal is compared in constant time, and before the end is looked at.
func (t *tokens) knows(token string, from holder, last *opened) bool {
	if len(token) != wireToken {
		return false
	}
	r := t.rooms.Get().(*tokenRoom)
	defer t.rooms.Put(r)
	copy(r.text[:], token)
	if subtle.ConstantTimeCompare(r.text[:], last.text[:]) == 1 {
		return time.Since(t.began) < last.end
	}
	if n, err := base64.URLEncoding.Decode(r.raw[:], r.text[:]); err != nil || n != rawToken {
		return false
	}
	r.who = from
	end, err := t.seal.Open(r.end[:0], r.raw[:nonceLen], r.raw[nonceLen:], r.who[:])
	if err != nil {
		return false
	}
	last.text, last.end = r.text, time.Duration(binary.BigEndian.Uint64(end))
	return time.Since(t.began) < last.end
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
