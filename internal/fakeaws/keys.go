package fakeaws

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"time"
)

// Issued is a set of temporary credentials that the fake gave out. It holds the secrets in the clear: they open
// nothing but this fake.
type Issued struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	RoleARN         string // arn:aws:iam::…:role/…; "" for a user's session (GetSessionToken)
	CallerARN       string // what GetCallerIdentity answers
	UserID          string // AROA…:session, or the user's
	Account         string
	Op              string // the operation that issued it
	MFA             bool   // a code was given for it
	Start, Expires  time.Time
}

// userKey is a long-term key.
type userKey struct {
	keyID, secret, account, name string
}

func (u userKey) arn() string { return "arn:aws:iam::" + u.account + ":user/" + u.name }

// kept is a map that forgets its oldest entries when it is full.
type kept[V any] struct {
	m     map[string]V
	order []string // keys in the order they came; may name keys that are gone
}

func newKept[V any]() kept[V] { return kept[V]{m: make(map[string]V)} }

func (k *kept[V]) put(key string, v V) {
	if _, ok := k.m[key]; !ok {
		if len(k.order) >= maxKept {
			delete(k.m, k.order[0])
			k.order = k.order[1:]
		}
		k.order = append(k.order, key)
	}
	k.m[key] = v
}

type keyRing struct {
	users  map[string]userKey // :: access key id → user
	issued kept[Issued]       // :: access key id → session
}

func newKeyRing() keyRing {
	return keyRing{users: make(map[string]userKey), issued: newKept[Issued]()}
}

// AddUser registers a long-term key of the IAM user name. An empty account is Config.Account.
func (s *Server) AddUser(accessKeyID, secret, account, name string) {
	if account == "" {
		account = s.cfg.Account
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys.users[accessKeyID] = userKey{accessKeyID, secret, account, name}
}

// Issued looks up a temporary key that the fake gave out, expired or not.
func (s *Server) Issued(accessKeyID string) (Issued, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys.issued.m[accessKeyID]
	return k, ok
}

// issue makes temporary credentials for k's identity. asked is the requested duration.
func (s *Server) issue(c *call, k Issued, asked time.Duration) Issued {
	k.Op = c.op
	k.Start = s.now().UTC()
	life := asked
	if s.cfg.Lifetime > 0 {
		life = s.cfg.Lifetime
	}
	if c.fault.Lifetime > 0 {
		life = c.fault.Lifetime
	}
	if c.fault.Expired {
		life = -time.Minute
	}
	// AWS tells whole seconds. Rounding down never overstates, and a life below a second stays usable in a test.
	k.Expires = k.Start.Add(life)
	if life > 2*time.Second {
		k.Expires = k.Expires.Truncate(time.Second)
	}
	if c.fault.EmptyKeys {
		return k
	}
	k.AccessKeyID, k.SecretAccessKey, k.SessionToken = newKeyID("ASIA"), s.newSecret(), s.newToken()
	s.mu.Lock()
	s.keys.issued.put(k.AccessKeyID, k)
	s.mu.Unlock()
	c.gave = k
	return k
}

// roleSession is the identity of a session of the role arn.
func roleSession(arn, session string) Issued {
	a, _ := parseRoleARN(arn)
	return Issued{
		RoleARN:   arn,
		Account:   a.account,
		CallerARN: "arn:" + a.partition + ":sts::" + a.account + ":assumed-role/" + a.name + "/" + session,
		UserID:    stableID("AROA", arn) + ":" + session,
	}
}

func newKeyID(prefix string) string {
	return prefix + base32.StdEncoding.EncodeToString(randomBytes(10))
}

func (s *Server) newSecret() string {
	return s.cfg.Canary + base64.RawStdEncoding.EncodeToString(randomBytes(30))[len(s.cfg.Canary):]
}

// newToken is as long as STS's: 304 characters.
func (s *Server) newToken() string {
	return "IQoJb3JpZ2luX2Vj" + s.cfg.Canary + base64.RawURLEncoding.EncodeToString(randomBytes(216))[len(s.cfg.Canary):]
}

// newOpaque is a token of OIDC or IMDS: 56 header-safe characters.
func (s *Server) newOpaque() string {
	return s.cfg.Canary + base64.RawURLEncoding.EncodeToString(randomBytes(42))[len(s.cfg.Canary):]
}

// newClientID is that of an OIDC client, which is no secret: it is part of the pages that browsers open.
func newClientID() string { return base64.RawURLEncoding.EncodeToString(randomBytes(16)) }

// stableID is the unique id that stays the same for a name, as AWS's AROA… and AIDA… do.
func stableID(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + base32.StdEncoding.EncodeToString(sum[:10]) + "X"
}

// newUUID is a random UUID (RFC 9562 §5.4), for request ids.
func newUUID() string {
	b := randomBytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the program instead (crypto/rand)
	return b
}
