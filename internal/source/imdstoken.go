package source

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"rolecall/internal/creds"
)

const (
	imdsTTL       = 6 * time.Hour // the longest that the service allows
	imdsTTLMargin = 2 * time.Minute
	maxIMDSTokens = 16   // endpoints; there is one, unless somebody tries things out
	maxIMDSToken  = 1024 // bytes; EC2's have 56
)

// imdsTokens keeps the IMDS token of each endpoint until shortly before its end.
// The zero value is empty.
type imdsTokens struct {
	mu   sync.Mutex
	kept map[string]imdsToken // :: endpoint → token
}

type imdsToken struct {
	text creds.Secret
	ends time.Time
}

func (k *imdsTokens) get(endpoint string, now time.Time) (creds.Secret, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.kept[endpoint]
	return t.text, ok && now.Before(t.ends)
}

func (k *imdsTokens) put(endpoint string, t imdsToken) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept) >= maxIMDSTokens {
		k.kept = map[string]imdsToken{}
	}
	k.kept[endpoint] = t
}

// drop forgets a token that was refused, but not one that came after it.
func (k *imdsTokens) drop(endpoint, refused string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept[endpoint].text.Reveal() == refused {
		delete(k.kept, endpoint)
	}
}

// parseIMDSToken takes what can be an IMDS token (RFC 9110, token68), with white
// space around it, as some servers write.
func parseIMDSToken(body []byte) (string, bool) {
	text := strings.TrimSpace(string(body))
	if text == "" || len(text) > maxIMDSToken {
		return "", false
	}
	return text, !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("-._~+/=", r)
	})
}

// imdsTokenLife is how long a token is used: two minutes less than its header
// says, half of it where it is short, as long as was asked for without one.
func imdsTokenLife(header string) time.Duration {
	life := imdsTTL
	if header != "" {
		seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31)
		if err != nil {
			return 0
		}
		life = min(life, time.Duration(seconds)*time.Second)
	}
	return life - min(imdsTTLMargin, life/2)
}
