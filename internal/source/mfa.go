package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/usererr"
)

// Bounds on the length of an MFA session: STS API reference, GetSessionToken.
const (
	defaultSession = 12 * time.Hour
	leastSession   = 15 * time.Minute
	mostSession    = 36 * time.Hour
)

// leastLeft is the life that an MFA session needs to be used once more.
const leastLeft = time.Minute

// Sessions keeps MFA sessions under a key that names device and keys.
// Update is that of the store: what is kept when fresh approves of it, else
// what fetch brings, which is then kept.
type Sessions interface {
	Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
		fetch func(context.Context) (creds.Credentials, error)) (c creds.Credentials, fetched bool, err error)
}

// given is a code that a person has just given, for one device. It is used once.
type given struct {
	serial string
	code   creds.Secret
	renew  bool // although the session may still be good

	mu   sync.Mutex
	used bool
}

type givenKey struct{}

// errSignedIn ends a retrieval that was only to use up a code.
type errSignedIn struct{ until time.Time }

func (errSignedIn) Error() string { return "signed in" }

// SignIn uses the code of the MFA device serial for the source text, and says
// until when that holds. Zero: no code was needed. renew makes a new session
// although the old one may still be good. Errors are *usererr.Error; with
// MFA set, another code may help.
func (r *Resolver) SignIn(ctx context.Context, text, serial, code string, renew bool) (until time.Time, err error) {
	if !wellFormed(code) {
		return time.Time{}, &usererr.Error{Code: usererr.LoginRequired, MFA: serial, Msg: "that is no code of an MFA device: it has six digits",
			Hint: "give the one that the device shows now"}
	}
	s, err := r.Resolve(text)
	if err != nil {
		return time.Time{}, err
	}
	g := &given{serial: serial, code: creds.NewSecret(code), renew: renew}
	_, err = s.Provider.Retrieve(context.WithValue(ctx, givenKey{}, g))
	var done errSignedIn
	if errors.As(err, &done) {
		return done.until, nil
	}
	return time.Time{}, err
}

// wellFormed says whether text can be a code: STS takes exactly six digits.
func wellFormed(code string) bool {
	return len(code) == 6 && strings.Trim(code, "0123456789") == ""
}

// take is the code for the device serial, once.
func (g *given) take(serial string) (creds.Secret, bool) {
	if g == nil || g.serial != serial {
		return creds.Secret{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used {
		return creds.Secret{}, false
	}
	g.used = true
	return g.code, true
}

// mfa is what needs a code of a device.
type mfa struct {
	r       *Resolver
	label   string // for messages
	profile string // to sign in with; "" for none
	serial  string
	sts     service
	changed func() bool
}

// required says that a person must give a code, and why once more. made is how
// many sessions there were before this one was looked for.
func (m mfa) required(why string, made int64) *usererr.Error {
	return &usererr.Error{
		Code: usererr.LoginRequired,
		Msg:  fmt.Sprintf("%s needs a code of the MFA device %s%s", m.label, m.serial, why),
		Hint: "give it with: " + m.command(),
		MFA:  m.serial,
		Changed: func() bool {
			return m.r.signedIn.Load() != made || m.changed != nil && m.changed()
		},
	}
}

// session is what GetSessionToken gave for the keys base and a code, however
// many profiles use it.
func (m mfa) session(ctx context.Context, base creds.Credentials) (creds.Credentials, error) {
	length := min(max(m.r.cfg.MFASession, leastSession), mostSession)
	// How long it lives is no part of the key: one that is good serves whoever
	// would have asked for another length.
	return m.once(ctx, "keys="+base.AccessKeyID, func(ctx context.Context, code creds.Secret) (creds.Credentials, error) {
		client, err := m.r.stsClient(m.sts, base)
		if err != nil {
			return creds.Credentials{}, err
		}
		ctx, seen := watch(ctx)
		out, err := client.GetSessionToken(ctx, &sts.GetSessionTokenInput{
			SerialNumber: &m.serial, TokenCode: aws.String(code.Reveal()), DurationSeconds: aws.Int32(int32(length.Seconds()))})
		if err != nil {
			return creds.Credentials{}, operation{name: "sts GetSessionToken", subject: m.serial,
				secrets:    []creds.Secret{base.SecretAccessKey, code},
				loginHint:  "the keys of the user have ended: write new ones",
				deniedHint: "a code works once, and for about half a minute: give the next one the device shows; or the device is not this user's",
				changed:    m.changed,
			}.failed(err, seen)
		}
		return fromSTS(out.Credentials, "", m.label, seen)
	})
}

// once is the session that is kept under key, or the one that ask makes of a
// code that a person has just given. The retrieval that used a code up ends
// with errSignedIn: the next one finds the session.
func (m mfa) once(ctx context.Context, key string, ask func(context.Context, creds.Secret) (creds.Credentials, error)) (creds.Credentials, error) {
	g, _ := ctx.Value(givenKey{}).(*given)
	made := m.r.signedIn.Load()
	c, fetched, err := m.r.cfg.Sessions.Update(ctx, "mfa\n"+m.serial+"\n"+m.sts.endpoint+"\n"+key,
		func(c creds.Credentials) bool {
			return !(g != nil && g.renew && g.serial == m.serial) && c.Remaining(time.Now()) > leastLeft && !m.r.hasEnded(c)
		},
		func(ctx context.Context) (creds.Credentials, error) {
			code, ok := g.take(m.serial)
			if !ok {
				return creds.Credentials{}, m.required("", made)
			}
			c, err := ask(ctx, code)
			if err != nil {
				e := *usererr.From(err)
				if e.Code == usererr.AccessDenied { // of the code, as a rule: another may be taken
					e.Code, e.MFA = usererr.LoginRequired, m.serial
				}
				return creds.Credentials{}, &e
			}
			c.Source = "mfa:" + m.serial
			return complete(c, "sts")
		})
	if err == nil {
		m.r.sessionEnds.Store(m.serial, c.Expires)
	}
	if err == nil && fetched {
		m.r.signedIn.Add(1)
		return creds.Credentials{}, &usererr.Error{Code: usererr.Internal, Msg: "signed in", Err: errSignedIn{c.Expires}}
	}
	return c, err
}

// command is what a person types to give a code.
func (m mfa) command() string {
	if m.profile == "" {
		return "rolecall load SOURCE"
	}
	return "rolecall login " + shellword.Word(m.profile)
}

// signIn is the session as it was when it was last used.
func (m mfa) signIn() (SignIn, bool) {
	until, ok := m.r.sessionEnds.Load(m.serial)
	if !ok {
		return SignIn{}, false
	}
	return SignIn{Name: m.serial, Until: until.(time.Time), Command: m.command()}, true
}

// forget marks a session that STS refuses, so that it is not used again.
func (r *Resolver) forget(c creds.Credentials) {
	r.endedMu.Lock()
	defer r.endedMu.Unlock()
	r.ended.add(c, time.Now())
}

func (r *Resolver) hasEnded(c creds.Credentials) bool {
	r.endedMu.Lock()
	defer r.endedMu.Unlock()
	_, ok := r.ended[c.AccessKeyID]
	return ok
}

// endedSessions are sessions that STS refuses before their time: the ids of
// their keys → when they end by themselves, after which nobody takes them.
type endedSessions map[string]time.Time

func (s endedSessions) add(c creds.Credentials, now time.Time) {
	maps.DeleteFunc(s, func(_ string, end time.Time) bool { return !end.After(now) })
	s[c.AccessKeyID] = c.Expires
}

// mfaLink gives the MFA session itself: of a profile that has keys and
// mfa_serial, and names no role.
func (r *Resolver) mfaLink(base *link, s *awsconfig.Section, sc *scope) (*link, error) {
	m := mfa{r: r, label: fmt.Sprintf("profile %q", s.Name), profile: s.Name, serial: s.Text("mfa_serial"), changed: r.filesChanged()}
	var err error
	if m.sts, err = r.service("sts", firstOf(sc.own("region"), base.region, r.region(nil)), sc); err != nil {
		return nil, err
	}
	provider := creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
		keys, err := base.provider.Retrieve(ctx)
		if err != nil || !keys.SessionToken.IsZero() { // a session already
			return keys, err
		}
		return m.session(ctx, keys)
	})
	return &link{provider: provider, region: base.region, upstream: m.sts.upstream(), timeout: callTimeout, devices: []string{m.serial}, signIns: []func() (SignIn, bool){m.signIn},
		key: append([]string{"mfa=" + m.serial, m.sts.key()}, base.key...)}, nil
}
