// Package daemon puts the rooms together: configuration to sources, sources to
// slots, slots to the endpoint and the control socket. It knows neither flags
// nor the terminal.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/footprint"
	"rolecall/internal/harden"
	"rolecall/internal/linklocal"
	"rolecall/internal/peercred"
	"rolecall/internal/slot"
	"rolecall/internal/source"
	"rolecall/internal/store"
)

// Config of a daemon.
type Config struct {
	Settings   func() (config.Config, error) // validated; called at the start and at every reload
	ConfigFile string                        // shown in status; "": none
	Strict     []string                      // slots whose source must resolve at the start, e.g. given by a flag; "" is the default slot
	Dirs       config.Dirs
	Getenv     func(string) string // of the sources; nil: os.Getenv
	Environ    func() []string     // of credential_process children; nil: os.Environ
	Home       string              // "": the user's
	Stderr     io.Writer           // gets the log; nil: os.Stderr
	Terminal   bool                // Stderr is a terminal
	Ready      func(Ready)         // called once when all listeners answer; nil: nobody
	Reload     <-chan struct{}     // wishes to read the configuration anew, e.g. from SIGHUP; nil: none
	Version    string
	Private    bool            // for one program: no control socket, no files, an authorization token of its own
	Harden     bool            // close this process to other processes of the same user; cannot be undone
	Store      slot.Store      // in place of the one that the settings name; nil: none
	Sessions   source.Sessions // MFA sessions of a Private daemon; nil: its own memory

	// SSOSessions is rolecall's own file of SSO sessions. "": that of Dirs.
	SSOSessions string
}

// Ready is what is known once the daemon answers.
type Ready struct {
	URLs               []string     // of the ECS endpoint, each ending in a slash
	MetadataURLs       []string     // of the metadata endpoint, likewise
	TokenFile          string       // holds the authorization token; "" when Private
	AuthorizationToken creds.Secret // when Private
}

// drainTime is what requests under way get at the end.
const drainTime = 4 * time.Second

// startOver is when the start and the warming of a few slots are behind us.
const startOver = time.Second

// heapRoom is reserved and never touched, so it takes no memory. It lets the
// garbage collector rest for longer between two runs, each of which costs the
// same however little there is to collect; a larger GOGC would do so too, but in
// proportion to what thousands of connections hold.
const heapRoom = 8 << 20

// daemon is one running daemon.
type daemon struct {
	c         Config
	log       *slog.Logger
	level     slog.LevelVar
	started   time.Time
	tokenFile string
	token     creds.Secret

	table      *slot.Table
	resolver   *source.Resolver
	guard      *endpoint.Guard
	server     *endpoint.Server
	imds       *metadata // nil when Private
	metrics    *metrics
	notices    *notices
	audit      *auditor
	peers      *peercred.Lookup // nil: the kernel cannot tell
	closeStore func()           // nil: nothing to close
	sessions   source.Sessions  // where MFA sessions are kept
	kept       *control.Store   // where credentials are kept beside the slots; nil when Private
	store      slot.Store       // that place

	reloading sync.Mutex // held by the one reload under way
	settings  atomic.Pointer[config.Config]
	began     config.Config          // the settings of the start: some are for the life of the process
	reloadErr atomic.Pointer[string] // why the last reload failed; nil: it did not

	boundMu sync.Mutex // guards bound
	bound   []binding  // listeners in force

	lease *linklocal.Lease // nil: none of AWS's addresses are ours
}

// Run is a daemon's life: it returns nil once ctx has ended and everything is
// wound up, or the error that kept it from starting or running, a
// *usererr.Error with a hint where one helps.
func Run(ctx context.Context, c Config) (err error) {
	d, err := start(c)
	if err != nil {
		return err
	}
	defer d.closeAll()
	room := make([]byte, heapRoom)
	defer runtime.KeepAlive(room)
	front, stopFront := context.WithCancelCause(ctx) // what clients see; ends first
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	var jobs, behind sync.WaitGroup
	job := func(g *sync.WaitGroup, ctx context.Context, f func(context.Context) error) {
		g.Go(func() {
			if e := f(ctx); e != nil && ctx.Err() == nil {
				stopFront(e)
			}
		})
	}
	job(&behind, back, d.table.Run)
	job(&behind, back, d.audit.run)
	job(&jobs, front, func(ctx context.Context) error { return d.server.Run(ctx, drainTime) })
	if d.imds != nil {
		job(&jobs, front, func(ctx context.Context) error { return d.imds.server.Run(ctx, drainTime) })
	}
	if d.lease != nil {
		job(&jobs, front, d.lease.Keep)
	}
	if !c.Private {
		ln, err := d.listenControl()
		if err != nil {
			stopFront(err)
		} else {
			job(&jobs, front, func(ctx context.Context) error { return d.serveControl(ctx, ln) })
		}
		job(&jobs, front, d.watchdog)
		job(&jobs, front, d.tell)
		job(&jobs, front, slim)
		job(&jobs, front, d.reloads)
	}
	if front.Err() == nil {
		d.ready()
	}
	<-front.Done()
	d.notify("STOPPING=1")
	jobs.Wait()
	stopBack()
	behind.Wait()
	if cause := context.Cause(front); ctx.Err() == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// start makes everything that can fail before a client is answered.
func start(c Config) (*daemon, error) {
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	if c.Getenv == nil {
		c.Getenv = os.Getenv
	}
	settings, err := c.Settings()
	if err != nil {
		return nil, err
	}
	d := &daemon{c: c, started: time.Now(), began: settings}
	d.settings.Store(&settings)
	d.log = newLogger(c, settings.Log, &d.level)
	if c.Harden {
		for _, p := range harden.Process().Problems {
			d.log.Warn(p)
		}
	}
	if err := d.loadToken(); err != nil {
		return nil, err
	}
	d.metrics, d.notices = newMetrics(), newNotices()
	d.audit = newAuditor(c.Stderr, useJSON(c, settings.Log), &d.level, d.metrics, d.token)
	d.sessions = &store.Memory{}
	d.store = d.keep(settings)
	d.table = slot.New(slot.Config{
		Store:   d.store,
		Prepare: func(c creds.Credentials, expires time.Time) any { return endpoint.NewDocument(c, expires) },
		Observe: d.observe,
	})
	d.metrics.watch(d.table)
	if c.SSOSessions == "" {
		c.SSOSessions = c.Dirs.SSOSessions()
	}
	d.resolver = source.New(source.Config{Getenv: c.Getenv, Environ: d.environ, Home: c.Home, UserAgent: "rolecall/" + c.Version,
		MFASession: settings.MFASession, Sessions: d.sessions, SSOSessions: c.SSOSessions, Self: d.isSelf, Warn: func(msg string) { d.log.Warn(msg) }})
	if peercred.Supported() {
		d.peers, _ = peercred.New() // without it everybody is unknown and needs the token
	}
	d.guard = endpoint.NewGuard(d.access(settings))
	if err := d.listen(settings); err != nil {
		d.closeAll()
		return nil, err
	}
	if err := d.configure(settings, c.Strict); err != nil {
		d.closeAll()
		return nil, err
	}
	d.open()
	return d, nil
}

// slim gives memory back once the start, warming included, is over.
func slim(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(startOver):
		footprint.GiveBack()
	}
	return nil
}

func (d *daemon) ready() {
	for _, w := range d.warnings() {
		d.log.Warn(w)
	}
	d.notify("READY=1")
	if d.c.Ready == nil {
		return
	}
	r := Ready{TokenFile: d.tokenFile}
	if d.c.Private {
		r.AuthorizationToken = d.token
	}
	for _, b := range d.listeners() {
		if b.endpoint == imdsEndpoint {
			r.MetadataURLs = append(r.MetadataURLs, b.url)
			continue
		}
		r.URLs = append(r.URLs, b.url)
	}
	d.c.Ready(r)
}

// access is what the guard compares requests with.
func (d *daemon) access(s config.Config) endpoint.Access {
	a := endpoint.Access{Mode: endpoint.AuthMode(s.Auth.Mode), Tokens: []string{d.token.Reveal()}, UIDs: s.Auth.AllowUIDs, Hosts: s.Hosts}
	if uid, ok := peercred.OwnUID(); ok {
		a.UIDs = append([]uint32{uid}, a.UIDs...)
	}
	return a
}

// warnings are things a person should know while they are so.
func (d *daemon) warnings() []string {
	var w []string
	s := *d.settings.Load()
	if d.kept != nil && d.kept.Problem != "" {
		w = append(w, d.kept.Problem)
	}
	if s.Auth.Mode == config.AuthNone {
		w = append(w, "authorization is off: every user and program on this machine can have the credentials (auth mode none)")
	}
	for _, b := range d.listeners() {
		if tcp, ok := b.ln.Addr().(*net.TCPAddr); ok && b.endpoint == ecsEndpoint && !tcp.IP.IsLoopback() && !tcp.IP.IsLinkLocalUnicast() && d.began.TLS.Cert == "" {
			w = append(w, "credentials leave this machine unencrypted at "+b.url+"; set --tls-cert and --tls-key")
		}
	}
	if s.Auth.Mode == config.AuthAuto && d.peers == nil {
		w = append(w, "this system does not tell who is at the other end of a connection, so every client needs the authorization token")
	}
	return append(w, d.metadataWarnings(s)...)
}

func (d *daemon) closeAll() {
	for _, b := range d.listeners() {
		b.retire()
	}
	if d.lease != nil {
		if err := d.lease.Release(); err != nil {
			d.log.Error("an address of --link-local stays on the loopback interface", "error", err.Error())
		}
	}
	if d.peers != nil {
		d.peers.Close()
	}
	if d.closeStore != nil {
		d.closeStore()
	}
}
