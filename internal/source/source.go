// Package source turns the text of a source ("profile:dev", "imds",
// "role:ARN@dev") into a creds.Provider. It is the only room that uses the
// credential code of the AWS SDK. Profiles are resolved here and not by the
// SDK, whose errors print what a credential_process wrote; the SDK's service
// clients do the talking.
//
// Nothing but IMDS tokens is kept between two Retrieves: each one reads the AWS
// files anew, so that keys renewed by another program, or a mended profile, are
// taken at once.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Config sets a Resolver up. The zero value serves a program in its user's
// environment.
type Config struct {
	// Getenv looks up AWS_CONFIG_FILE, AWS_REGION, AWS_ENDPOINT_URL* and the
	// like. Nil: os.Getenv. Proxy variables are always the process's own.
	Getenv func(string) string
	// Environ is the environment that credential_process children get, less
	// ROLECALL_* and AWS_CONTAINER_AUTHORIZATION_TOKEN. Nil: os.Environ.
	Environ func() []string
	// Home is where .aws is. Empty: os.UserHomeDir.
	Home string
	// UserAgent is added to the SDK's. Empty: "rolecall".
	UserAgent string
	// Self says whether host (host:port) of a container or metadata endpoint is
	// this very daemon, which would ask itself for ever. Nil: none is.
	Self func(host string) bool
	// MFASession is how long a session made with an MFA code lasts, 15 minutes
	// to 36 hours. Zero: 12 hours.
	MFASession time.Duration
	// Sessions keeps MFA sessions, e.g. a store.Memory. Nil: nobody keeps them,
	// and each use of one needs a code.
	Sessions Sessions
	// SSOSessions is rolecall's own file of SSO sessions that the AWS files do
	// not name (see sso.ReadFurther). Empty: there is none.
	SSOSessions string
	// Warn is told once, in one line, of every setting that is not followed as
	// it is written. Nil: nobody is told.
	Warn func(msg string)
}

// Resolver makes Sources. Its methods may be called from any goroutine.
type Resolver struct {
	cfg    Config
	aws    *http.Client // for AWS services: proxies as the environment says
	direct *http.Client // for container and metadata endpoints: no proxy
	tlsErr error        // why AWS_CA_BUNDLE cannot be used

	issued   atomic.Int64 // fake credentials so far
	signedIn atomic.Int64 // MFA sessions made so far

	sessionEnds sync.Map // :: MFA serial → time.Time, of the session used last

	endedMu sync.Mutex // guards ended
	ended   endedSessions

	tokens imdsTokens

	mu     sync.Mutex
	warned map[string]bool // :: message → told already
}

// Source is one resolved source.
type Source struct {
	Text    string   // canonical, e.g. "profile:dev"
	Kind    string   // the word before the colon
	Profile string   // "" when Kind is another
	Region  string   // of the profile, else of the environment; "" when neither says
	Devices []string // MFA devices whose codes it needs, the first one first

	// SignIns are those that it rests on and that end without a person, as far
	// as is known here. It is cheap, and asks nobody.
	SignIns func() []SignIn

	// Provider asks upstream at each Retrieve, for at most Timeout.
	Provider creds.Provider
	// Key is equal for two Sources that give the same answers: the text and
	// the settings it resolved to. It holds no secret.
	Key string
	// Upstream names what the last call goes to, e.g. "sts/eu-west-1", for
	// limits on its rate. "" where everything is local.
	Upstream string
	// Timeout is how long one Retrieve may take: 9.5 s, 59.5 s where a
	// credential_process runs, and both where a role is assumed with its answer.
	Timeout time.Duration
	// Rotates is how often there is a new set, however long each lives. Zero:
	// not known.
	Rotates time.Duration
}

// An attempt has ended within 10 s, or a minute where a credential_process runs
// (the SDKs' own limit), with the time that ending takes.
const (
	callTimeout    = 9500 * time.Millisecond
	processTimeout = 59500 * time.Millisecond
)

// link is one way to credentials as the settings describe it now.
type link struct {
	provider creds.Provider
	region   string
	upstream string
	timeout  time.Duration
	devices  []string
	rotates  time.Duration
	signIns  []func() (SignIn, bool)
	key      []string // settings that change the answer; no secrets
}

// New makes a Resolver. It reads AWS_CA_BUNDLE, and no other file.
func New(cfg Config) *Resolver {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.Environ == nil {
		cfg.Environ = os.Environ
	}
	if cfg.Home == "" {
		cfg.Home, _ = os.UserHomeDir() // without one there are no default files
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "rolecall"
	}
	if cfg.MFASession == 0 {
		cfg.MFASession = defaultSession
	}
	if cfg.Sessions == nil {
		cfg.Sessions = unkept{}
	}
	r := &Resolver{cfg: cfg, warned: map[string]bool{}, ended: endedSessions{}}
	roots, err := caBundle(cfg.Getenv("AWS_CA_BUNDLE"))
	r.tlsErr = err
	r.aws = newClient(proxyExceptLocal, roots)
	r.direct = newClient(nil, nil)
	return r
}

// Resolve parses text and checks that what it names is there and complete; it
// asks nobody over the network. A text is profile:NAME or just NAME,
// sso:SESSION/ACCOUNT/ROLE, imds, container, env, default, role:ARN, role:ARN@SOURCE, fake or fake:OPTIONS. A
// NAME that is one of these words is that kind: write profile:NAME for a
// profile of that name. Another word with a colon is a profile where there is one
// of that name. In a role's ARN "@" is written %40. Errors are
// *usererr.Error with code not_configured.
func (r *Resolver) Resolve(text string) (*Source, error) {
	spec, err := r.parse(text)
	if err != nil {
		return nil, err
	}
	l, err := r.build(spec)
	if err != nil {
		return nil, err
	}
	s := r.source(spec.String(), spec.kind, l, func() (*link, error) { return r.build(spec) })
	if spec.kind == kindProfile {
		s.Profile = spec.arg
	}
	return s, nil
}

// Sessions is where MFA sessions are kept.
func (r *Resolver) Sessions() Sessions { return r.cfg.Sessions }

// Canonical is the one spelling of a source's text, e.g. "profile:dev" for
// "dev". It looks at nothing but the text. Errors are as Resolve's.
func Canonical(text string) (string, error) {
	s, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	return s.String(), nil
}

// Canonical is the one spelling of a source's text for Resolve, which looks for
// profiles whose name has a colon. Errors are as Resolve's.
func (r *Resolver) Canonical(text string) (string, error) {
	s, err := r.parse(text)
	if err != nil {
		return "", err
	}
	return s.String(), nil
}

func (r *Resolver) parse(text string) (spec, error) {
	s, err := parseSpec(text)
	if err == nil || !maybeProfile(text) {
		return s, err
	}
	if files, filesErr := r.files(); filesErr == nil {
		if _, ok := files.Profile(text); ok {
			return spec{kind: kindProfile, arg: text}, nil
		}
	}
	return s, err
}

// AssumeRole is the role arn assumed with whatever base gives, which is
// retrieved each time. region is that of STS; "": the environment's, else the
// main one of the ARN's partition.
func (r *Resolver) AssumeRole(arn string, base creds.Provider, region string) (*Source, error) {
	if err := checkRoleARN(arn); err != nil {
		return nil, err
	}
	resolve := func() (*link, error) {
		return r.assumeLink(arn, &link{provider: base, region: region, timeout: callTimeout}, nil, nil)
	}
	l, err := resolve()
	if err != nil {
		return nil, err
	}
	return r.source(spec{kind: kindRole, arg: arn}.String(), kindRole, l, resolve), nil
}

// source makes the Source whose Provider resolves anew before each call.
func (r *Resolver) source(text, kind string, l *link, resolve func() (*link, error)) *Source {
	provider := creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
		l, err := resolve()
		if err != nil {
			return creds.Credentials{}, usererr.From(err)
		}
		ctx, cancel := context.WithTimeout(ctx, l.timeout)
		defer cancel()
		c, err := checked(l.provider, text).Retrieve(ctx)
		if err != nil {
			return creds.Credentials{}, err
		}
		c.Source = text
		return c, nil
	})
	return &Source{
		Text:     text,
		Kind:     kind,
		Region:   l.region,
		Devices:  l.devices,
		SignIns:  func() []SignIn { return known(l.signIns) },
		Provider: provider,
		Key:      strings.Join(append([]string{text}, l.key...), "\n"),
		Upstream: l.upstream,
		Timeout:  l.timeout,
		Rotates:  l.rotates,
	}
}

// build resolves a source's text with the settings as they are now.
func (r *Resolver) build(s spec) (*link, error) {
	switch s.kind {
	case kindProfile:
		return r.profileLink(s.arg)
	case kindIMDS:
		return r.imdsLink(nil)
	case kindContainer:
		return r.containerLink(nil)
	case kindEnv:
		return r.envLink()
	case kindDefault:
		return r.defaultLink()
	case kindSSO:
		return r.sessionLink(s.arg)
	case kindRole:
		base, err := r.build(*s.base)
		if err != nil {
			return nil, err
		}
		return r.assumeLink(s.arg, base, nil, nil)
	default:
		return r.fakeLink(s.arg)
	}
}

// files loads the AWS files.
func (r *Resolver) files() (*awsconfig.Files, error) {
	f, err := awsconfig.Load(r.paths())
	if err != nil {
		return nil, r.notConfigured(err.Error(), "")
	}
	return f, nil
}

func (r *Resolver) paths() awsconfig.Paths {
	return awsconfig.DefaultPaths(r.cfg.Getenv, r.cfg.Home)
}

// warn tells the user once.
func (r *Resolver) warn(msg string) {
	r.mu.Lock()
	told := r.warned[msg]
	r.warned[msg] = true
	r.mu.Unlock()
	if !told && r.cfg.Warn != nil {
		r.cfg.Warn(msg)
	}
}

// enabled says whether a variable is "true", as the SDKs read booleans.
func (r *Resolver) enabled(variable string) bool {
	return strings.EqualFold(r.cfg.Getenv(variable), "true")
}

// digest stands for a setting in a key, where the setting may hold a secret.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
