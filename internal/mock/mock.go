// Package mock is `rolecall mock`: an instance metadata service and a container credentials endpoint on
// loopback that misbehave on command. What they answer is made by fakeaws; here are the grammar of faults, which
// request draws which, the journal of requests, and the way to change faults while the mock runs.
package mock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rolecall/internal/fakeaws"
)

// ContainerPath is where the container endpoint has its credentials, as in an ECS task.
const ContainerPath = "/v2/credentials/mock"

// podPath is where EKS Pod Identity has them.
const podPath = "/v1/credentials"

// Config sets a [Mock] up.
type Config struct {
	// IMDS and ECS are the addresses to listen on; port 0 is any free one. Not valid: 127.0.0.1:0.
	IMDS, ECS netip.AddrPort
	// Role is the name of the role that both hand out. Empty: mock-role.
	Role string
	// Account is the 12-digit account of the role. Empty: 123456789012.
	Account string
	// Region that the metadata name. Empty: eu-west-1.
	Region string
	// Lifetime of the credentials. Zero: 6 h for IMDS, as EC2 does it, and 1 h for ECS.
	Lifetime time.Duration
	// Seed of percentages and ranges: with the same seed the same requests draw the same faults.
	Seed uint64
	// Mode is V2Only (every GET needs a token), V1Only (no tokens at all) or "" (both).
	Mode Kind
	// Faults that are in force from the start.
	Faults []Fault
	// ECSToken is the Authorization header that the container endpoint asks for. Empty: none.
	ECSToken string
	// Out gets the two URLs, one a line, and then a line for each request. Nil: nobody.
	Out io.Writer
	// JSON makes the requests' lines JSON.
	JSON bool
	// Now is the mock's clock. Nil: time.Now.
	Now func() time.Time
}

// Mock is a running mock. Its methods may be called from any goroutine.
type Mock struct {
	cfg     Config
	aws     *fakeaws.Server
	rules   *rules
	journal *journal
	imds    string // URLs
	ecs     string
	servers []*http.Server
	ended   chan error // one for each server
	closing sync.Once
}

// Run is Start, and Close when ctx is done. It returns nil then, and an error when the mock cannot serve.
func Run(ctx context.Context, cfg Config) error {
	m, err := Start(cfg)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		m.Close()
		return nil
	case err := <-m.ended:
		m.ended <- err
		m.Close()
		return err
	}
}

// Start listens, writes the URLs to Config.Out and serves until Close.
func Start(cfg Config) (*Mock, error) {
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Role == "" {
		cfg.Role = "mock-role"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Mock{cfg: cfg, rules: newRules(cfg.Seed, cfg.Mode, cfg.Now), ended: make(chan error, 2)}
	if err := m.rules.set(cfg.Faults, false); err != nil {
		return nil, err
	}
	var err error
	m.aws, err = fakeaws.New(fakeaws.Config{
		Region: cfg.Region, Account: cfg.Account, Lifetime: cfg.Lifetime, IMDSv1: true, ContainerAuthorization: cfg.ECSToken,
		Now: cfg.Now, Choose: m.rules.choose, OnRequest: func(r fakeaws.Request) { m.journal.add(r) },
	})
	if err != nil {
		return nil, err
	}
	arn := m.aws.RoleARN(cfg.Role)
	m.aws.SetInstanceRole(arn)
	imds, err := listen(cfg.IMDS)
	if err != nil {
		return nil, errors.Join(err, m.aws.Close())
	}
	ecs, err := listen(cfg.ECS)
	if err != nil {
		return nil, errors.Join(err, imds.Close(), m.aws.Close())
	}
	m.imds, m.ecs = "http://"+imds.Addr().String(), "http://"+ecs.Addr().String()+ContainerPath
	// Whoever started the mock reads these two lines to know that it is ready, so they go out before any other.
	if _, err := fmt.Fprintf(cfg.Out, "imds %s\necs %s\n", m.imds, m.ecs); err != nil {
		return nil, errors.Join(err, imds.Close(), ecs.Close(), m.aws.Close())
	}
	m.journal = newJournal(cfg.Out, cfg.JSON)
	m.serve(imds, m.aws.MetadataHandler())
	m.serve(ecs, m.aws.ContainerHandler(arn, ContainerPath, podPath))
	return m, nil
}

func listen(a netip.AddrPort) (net.Listener, error) {
	if !a.IsValid() {
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	network := "tcp4"
	if a.Addr().Is6() {
		network = "tcp6"
	}
	return net.Listen(network, a.String())
}

func (m *Mock) serve(l net.Listener, handler http.Handler) {
	if hosts := hostsOf(l.Addr()); hosts != nil {
		handler = m.admin(hosts, handler)
	}
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that leaves is no news here
	}
	m.servers = append(m.servers, s)
	go func() { m.ended <- s.Serve(l) }()
}

// Close ends hangs and delays, closes every connection and waits for all. It may be called twice.
func (m *Mock) Close() { m.closing.Do(m.close) }

func (m *Mock) close() {
	for _, s := range m.servers {
		_ = s.Close() // its error is that of a listener which is closed anyway
	}
	_ = m.aws.Close()
	for range m.servers {
		<-m.ended
	}
	m.journal.close()
}

// IMDS is the URL of the metadata service, for AWS_EC2_METADATA_SERVICE_ENDPOINT.
func (m *Mock) IMDS() string { return m.imds }

// ECS is the URL of the container credentials, for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (m *Mock) ECS() string { return m.ecs }

// Status is what is in force.
func (m *Mock) Status() Status {
	s := Status{IMDS: m.imds, ECS: m.ecs, Seed: m.rules.seed, Mode: string(m.cfg.Mode)}
	s.Faults, s.Requests = m.rules.status()
	return s
}
