// Package fakeaws is an AWS on loopback for tests, demonstrations and fault drills: the STS query API, the
// SSO portal and SSO OIDC, the instance metadata service and a container credentials endpoint, all on one port
// and all answering from memory. Faults are scripted with [Server.Script] and every call is counted. The SDKs
// accept it once the variables of [Server.Environ] point at it. Signatures are not verified.
package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	defaultAddr     = "127.0.0.1:0"
	defaultRegion   = "eu-west-1"
	defaultLifetime = time.Hour
	defaultAccount  = "123456789012"

	maxBody   = 1 << 20 // bytes of a request body
	maxHeader = 64 << 10
	maxLog    = 10_000  // entries kept for Requests
	maxKept   = 100_000 // issued keys, tokens, codes and clients kept, each; the oldest go first
)

// Config sets a [Server] up. The zero value is a working fake.
type Config struct {
	// Addr is the host:port to listen on. Empty: 127.0.0.1 and a free port.
	Addr string
	// Region is the region the instance metadata and the profiles name. Empty: eu-west-1.
	Region string
	// Account is the 12-digit account of container and instance roles. Empty: 123456789012.
	Account string
	// Lifetime of every issued key, whatever duration the request asks for (its bounds are checked all the
	// same). Zero: as asked for, else 1 h (GetSessionToken 12 h, an instance role 6 h).
	Lifetime time.Duration
	// SSOTokenLifetime is how long an access token from OIDC lives. Zero: 1 h.
	SSOTokenLifetime time.Duration
	// SSOPageSize is the most accounts or roles in one answer of the portal. Zero: 20.
	SSOPageSize int
	// SSORate is how many requests a second the portal answers, after SSOBurst at once; the others get 429
	// TooManyRequestsException. Zero: any number.
	SSORate, SSOBurst float64
	// CodeLifetime is how long a device code or an authorization code is good, in whole seconds. Zero: 10 min.
	CodeLifetime time.Duration
	// MFACode is the only code accepted where MFA is used. Empty: any six digits.
	MFACode string
	// SpendMFACodes takes each code of a device once only, as AWS does. False: as often as it comes.
	SpendMFACodes bool
	// ManualApproval makes sign-ins wait for a person (the pages' buttons), ApproveDevice or DenyDevice.
	// False: every sign-in is approved at once.
	ManualApproval bool
	// DeviceInterval is how often a device may poll, in whole seconds; sooner gets slow_down. Zero: 5 s with
	// ManualApproval, else 1 s and polling early is forgiven.
	DeviceInterval time.Duration
	// IMDSv1 answers metadata requests that bring no IMDS token. False: those get 401.
	IMDSv1 bool
	// ContainerAuthorization is the whole Authorization header that /container/NAME asks for. Empty: none.
	ContainerAuthorization string
	// Canary is put into every issued secret and token, so that a search for it finds leaks. Up to 16 letters
	// and digits. Empty: none.
	Canary string
	// Propagation is how many looks at, or uses of, a new role or instance profile do not see it yet, as
	// IAM is eventually consistent. Zero: it is seen at once.
	Propagation int
	// Settling is how many looks see an association "associating" or "disassociating", or a service rolling,
	// before it is over. Zero: the next look after the first sees it over.
	Settling int
	// PageSize is the most entries in one answer of IAM's, EC2's and ECS's lists. Zero: all.
	PageSize int
	// Now is the fake's clock: expiry, and the Date header. Nil: time.Now.
	Now func() time.Time
	// Choose gives a request that no scripted fault took a fault of its own, or says false. op is the request's
	// operation, as in Fault.Match; r must not be changed or kept. It is called from many goroutines. Nil: none.
	Choose func(op string, r *http.Request) (Fault, bool)
	// OnRequest is told of every request when its answer is complete, from many goroutines. Nil: nobody.
	OnRequest func(Request)
}

// Server is one fake AWS. Its methods may be called from any goroutine, before and after Start.
type Server struct {
	cfg     Config
	closing context.Context // done when Close was called
	cancel  context.CancelFunc
	base    userKey // the long-term user that WriteProfiles hands out

	mu       sync.Mutex // guards everything below; no I/O under it
	closed   bool
	active   sync.WaitGroup // handlers; Add only under mu while !closed
	listener net.Listener
	web      *http.Server
	done     chan struct{} // closed when the accept loop has ended
	faults   []*Fault
	calls    map[string]int
	arrived  chan struct{} // closed and replaced at each arrival while somebody waits; nil otherwise
	log      requestLog
	keys     keyRing
	roles    map[string]RoleConfig // :: role ARN → rules
	portal   portalState
	oidc     oidcState
	imds     imdsState
	contAuth string
	spent    map[string]bool        // :: serial and MFA code that were taken
	setups   map[string]*setupState // :: account
	changes  []Change
	permits  map[string][]permitted // :: access key id; without an entry everything is allowed
	mfaOnly  bool
}

// New makes a fake that does not listen yet: call Start, or mount Handler. An error names the Config field.
func New(cfg Config) (*Server, error) {
	if cfg.Lifetime < 0 || cfg.SSOTokenLifetime < 0 || cfg.CodeLifetime < 0 || cfg.SSORate < 0 || cfg.SSOBurst < 0 || cfg.DeviceInterval < 0 || cfg.SSOPageSize < 0 {
		return nil, errors.New("fakeaws: Lifetime, SSOTokenLifetime, CodeLifetime, DeviceInterval, SSOPageSize, SSORate and SSOBurst cannot be negative")
	}
	if len(cfg.Canary) > 16 || !isAlphanumeric(cfg.Canary) {
		return nil, errors.New("fakeaws: Canary takes up to 16 letters and digits")
	}
	if cfg.Account != "" && !isAccountID(cfg.Account) {
		return nil, fmt.Errorf("fakeaws: Account %q is not 12 digits", cfg.Account)
	}
	setDefault(&cfg.Addr, defaultAddr)
	setDefault(&cfg.Region, defaultRegion)
	setDefault(&cfg.Account, defaultAccount)
	setDefault(&cfg.SSOTokenLifetime, time.Hour)
	setDefault(&cfg.SSOPageSize, 20)
	setDefault(&cfg.CodeLifetime, codeLifetime)
	setDefault(&cfg.SSOBurst, cfg.SSORate)
	if cfg.DeviceInterval == 0 {
		cfg.DeviceInterval = time.Second
		if cfg.ManualApproval {
			cfg.DeviceInterval = 5 * time.Second
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, closing: ctx, cancel: cancel,
		spent:    make(map[string]bool),
		calls:    make(map[string]int),
		keys:     newKeyRing(),
		roles:    make(map[string]RoleConfig),
		portal:   newPortalState(),
		oidc:     newOIDCState(),
		imds:     newIMDSState(cfg.Account),
		contAuth: cfg.ContainerAuthorization,
		setups:   make(map[string]*setupState),
		permits:  make(map[string][]permitted),
	}
	s.base = userKey{keyID: newKeyID("AKIA"), secret: s.newSecret(), account: cfg.Account, name: "base"}
	s.keys.users[s.base.keyID] = s.base
	return s, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Start makes a fake and lets it listen.
func Start(cfg Config) (*Server, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start listens on Config.Addr and serves until Close. A second Start is an error.
func (s *Server) Start() error {
	l, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("fakeaws: %w", err)
	}
	web := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that leaves is no news here
	}
	done := make(chan struct{})
	s.mu.Lock()
	if s.closed || s.listener != nil {
		s.mu.Unlock()
		l.Close()
		return errors.New("fakeaws: already started or closed")
	}
	s.listener, s.web, s.done = l, web, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		web.Serve(l) // ends with ErrServerClosed at Close
	}()
	return nil
}

// Close ends delays and hangs, closes every connection and waits for the handlers. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	web, done := s.web, s.done
	s.mu.Unlock()
	s.cancel()
	var err error
	if web != nil {
		err = web.Close()
		<-done
	}
	s.active.Wait()
	return err
}

// URL is the base URL, without a slash at the end: "http://127.0.0.1:PORT". Empty before Start.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String()
}

func (s *Server) now() time.Time { return s.cfg.Now() }
