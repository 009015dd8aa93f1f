package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/linklocal"
	"rolecall/internal/slot"
	"rolecall/internal/usererr"
)

// metadata is the instance metadata endpoint and what it tells: of the default
// slot, and made up where there is no instance to tell of.
type metadata struct {
	*daemon
	handler *endpoint.IMDS
	server  *endpoint.Server
	host    string
	region  string // where the slot has none
	role    atomic.Pointer[roleOf]
}

// roleOf is what the default slot held when it was last asked for, as it leaves.
type roleOf struct {
	held *slot.Held
	doc  *endpoint.RoleDocument
}

// imdsShare is the part, one in, of all connections that is for the metadata
// endpoint when there is one.
const imdsShare = 4

func (d *daemon) newMetadata(s config.Config, room int) *metadata {
	m := &metadata{daemon: d}
	m.host, _ = os.Hostname() // "" tells machines apart no less than a made-up one
	getenv := d.c.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	if m.region = getenv("AWS_REGION"); m.region == "" {
		m.region = getenv("AWS_DEFAULT_REGION")
	}
	m.handler = endpoint.NewIMDS(endpoint.IMDSConfig{Guard: d.guard, Metadata: m, Auditor: d.audit, Access: imdsAccess(s)})
	sc := endpoint.ServerConfig{Handler: m.handler, AskAll: true, Hosts: endpoint.MetadataHosts(), MaxConnections: room, ErrorLog: httpLog(d.log)}
	if d.peers != nil {
		sc.Peers = d.peers
	}
	m.server = endpoint.NewServer(sc)
	return m
}

func imdsAccess(s config.Config) endpoint.IMDSAccess {
	return endpoint.IMDSAccess{Allow: s.IMDS.Allow, V1: s.IMDS.V1, HopLimit: s.IMDS.HopLimit}
}

// listenMetadata binds the listeners of the metadata endpoint, and those of
// --link-local.
func (d *daemon) listenMetadata(s config.Config) error {
	if d.imds == nil {
		return nil
	}
	if err := d.mayServeMetadata(s); err != nil {
		return err
	}
	bound, err := bindAll("--imds", s.IMDS.Listen)
	if err != nil {
		return err
	}
	for i, ln := range bound {
		d.bind(binding{endpoint: imdsEndpoint, wanted: s.IMDS.Listen[i], ln: ln})
	}
	if !s.LinkLocal {
		d.sweepLinkLocal()
		return nil
	}
	return d.takeLinkLocal()
}

// mayServeMetadata refuses where nobody could be let in: on systems that do not
// tell whose a connection is, but for addresses that are allowed by name.
func (d *daemon) mayServeMetadata(s config.Config) error {
	if len(s.IMDS.Listen) == 0 && !s.LinkLocal || d.peers != nil || len(s.IMDS.Allow) > 0 {
		return nil
	}
	return &usererr.Error{Code: usererr.NotConfigured,
		Msg: fmt.Sprintf("this system (%s) does not tell whose a connection is, and the metadata service has no authorization token, so that every user of this machine would get credentials there",
			runtime.GOOS),
		Hint: `use the container endpoint: eval "$(rolecall env)"; or let them all in: imds_allow = ["127.0.0.1"] in the configuration`}
}

// takeLinkLocal adds AWS's own addresses and listens there.
func (d *daemon) takeLinkLocal() (err error) {
	d.lease, err = linklocal.Take(linklocal.Config{Warn: func(msg string) { d.log.Warn(msg) }})
	if err != nil {
		return linkLocalError(err)
	}
	for _, l := range []struct {
		endpoint string
		addr     netip.Addr
	}{{imdsEndpoint, linklocal.Metadata}, {ecsEndpoint, linklocal.Container}, {ecsEndpoint, linklocal.PodAddress}} {
		ln, err := d.lease.Listen(context.Background(), l.addr)
		if err != nil {
			return linkLocalError(err)
		}
		d.bind(binding{endpoint: l.endpoint, from: fromLinkLocal, ln: ln})
	}
	return nil
}

func linkLocalError(err error) error {
	e := &usererr.Error{Code: usererr.NotConfigured, Msg: err.Error(), Err: err}
	var known *linklocal.Error
	if errors.As(err, &known) {
		e.Hint = known.Hint
	}
	return e
}

// sweepLinkLocal takes away what a --link-local that crashed has left behind.
func (d *daemon) sweepLinkLocal() {
	removed, err := linklocal.Sweep()
	for _, a := range removed {
		d.log.Info("an address that an earlier --link-local left on the loopback interface was taken away", "address", a.String())
	}
	if err != nil {
		d.log.Warn("an earlier --link-local left addresses on the loopback interface, which hide AWS's own services", "error", err.Error(),
			"hint", "take them away with: sudo ip addr del 169.254.169.254/32 dev lo, and the same for 169.254.170.2 and 169.254.170.23")
	}
}

// Role is the default slot's credentials. Warm, it is a look into memory.
func (m *metadata) Role(ctx context.Context) (*endpoint.RoleDocument, error) {
	sl := m.table.Slot(slot.Default)
	if sl == nil {
		return nil, errNoDefault
	}
	h, err := sl.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	if r := m.role.Load(); r != nil && r.held == h {
		return r.doc, nil
	}
	return m.encode(sl, h), nil
}

// encode is called once for each set that arrives. Two at once do no harm.
func (m *metadata) encode(sl *slot.Slot, h *slot.Held) *endpoint.RoleDocument {
	c := h.Credentials
	name := endpoint.RoleNameFor(c.RoleName, creds.RoleNameFromARN(c.RoleARN), title(sl.Snapshot().Spec))
	r := &roleOf{held: h, doc: endpoint.NewRoleDocument(name, c, h.Expires, time.Now())}
	m.role.Store(r)
	return r.doc
}

// warmUp encodes a set as soon as it has arrived.
func (m *metadata) warmUp(e slot.Event) {
	if e.Slot != slot.Default || e.Held == nil {
		return
	}
	if sl := m.table.Slot(slot.Default); sl != nil {
		m.encode(sl, e.Held)
	}
}

// Instance is all that is told beside credentials.
func (m *metadata) Instance() endpoint.Instance {
	i := endpoint.Instance{Region: m.region, Host: m.host, Started: m.started, RoleName: endpoint.RoleNameFor("")}
	sl := m.table.Slot(slot.Default)
	if sl == nil {
		return i
	}
	v := sl.Snapshot()
	if v.Spec.Region != "" {
		i.Region = v.Spec.Region
	}
	i.AccountID, i.RoleARN = v.Identity.AccountID, v.Identity.RoleARN
	i.RoleName = endpoint.RoleNameFor(v.Identity.RoleName, creds.RoleNameFromARN(v.Identity.RoleARN), title(v.Spec))
	return i
}

// serving says whether metadata is served anywhere.
func (m *metadata) serving() bool {
	for _, b := range m.listeners() {
		if b.endpoint == imdsEndpoint {
			return true
		}
	}
	return false
}

// metadataWarnings are things a person should know of the metadata endpoint and
// of --link-local while they are so.
func (d *daemon) metadataWarnings(s config.Config) (w []string) {
	if d.lease != nil {
		if p := d.lease.Problem(); p != "" {
			w = append(w, p)
		}
	}
	if d.imds == nil || !d.imds.serving() {
		return w
	}
	if s.IMDS.V1 {
		w = append(w, "the metadata service answers version 1 too, without a token: a program of yours that fetches URLs for others gives them credentials")
	}
	if len(s.IMDS.Allow) > 0 {
		w = append(w, "whoever has an address of imds_allow can have the default slot's credentials from the metadata service")
	}
	if os.Geteuid() == 0 && len(s.Auth.AllowUIDs) == 0 {
		w = append(w, "the metadata service lets in programs of root only; name other users with auth.allow_uids in the configuration")
	}
	if sl := d.table.Slot(slot.Default); sl != nil {
		if v := sl.Snapshot(); v.Remaining > 0 && v.Remaining < endpoint.ShortLife {
			w = append(w, fmt.Sprintf("the default slot's credentials have %d minutes left, less than the 25 that botocore wants of a metadata service; "+
				"their Expiration is told with a fraction of a second, so that it does not use them beyond their end. Sessions of an hour or more are better", int(v.Remaining.Minutes())))
		}
	}
	return w
}
