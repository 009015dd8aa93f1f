package endpoint

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"rolecall/internal/peercred"
)

// Slots answers reads. It is asked with every request and must answer from
// memory when it can. Errors are *Refusal (see NotFound) or
// *usererr.Error.
type Slots interface {
	Document(ctx context.Context, t Target) (*Document, error)
}

// Shelf is what the REST API does beyond reading credentials. name is "" for
// the default slot.
type Shelf interface {
	Profile(name string) (Profile, error)
	Profiles() []Profile // of the named slots
	Push(name string, u Upload) error
	Unload(name string) error
	UnloadNamed()
}

// Auditor is told of every answered request. It must not block.
type Auditor interface{ Audit(Record) }

// Record is one answered request. It holds no secret.
type Record struct {
	Time     time.Time
	Endpoint string // "ecs", "imds"
	Method   string
	Target   Target
	Status   int
	Outcome  string    // "ok" or the code of the refusal
	Expires  time.Time // of the credentials handed out; zero: none were
	Peer     peercred.Peer
	Remote   netip.AddrPort
	Agent    string // User-Agent as sent
	IMDSv1   bool   // answered without an IMDS token
}

// Denied says whether the guard turned the request away.
func (r *Record) Denied() bool {
	switch r.Outcome {
	case "foreign_header", "foreign_host", "absolute_uri", "unexpected_body", "unknown_peer", "other_user":
		return true
	}
	return r.Status == http.StatusUnauthorized || r.Status == http.StatusTooManyRequests
}

// ECSConfig of the container-credentials endpoint.
type ECSConfig struct {
	Guard   *Guard
	Slots   Slots
	Shelf   Shelf
	Auditor Auditor
	Metrics http.Handler // served at /metrics to who may have credentials; nil: 404
}

// ECS is the handler of the container-credentials endpoint (EKS Pod Identity
// speaks the same) and of the REST API. It belongs on a Server of this package.
type ECS struct{ c ECSConfig }

// NewECS returns the handler.
func NewECS(c ECSConfig) *ECS { return &ECS{c} }

func (e *ECS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	if c == nil {
		// Nobody but Server may serve this: the guard needs the connection.
		refuse(http.StatusInternalServerError, "internal", "the connection is unknown").write(w)
		return
	}
	c.handling()
	t := target(r.URL)
	d, refused := e.serve(w, r, c, t)
	rec := Record{Time: time.Now(), Endpoint: "ecs", Method: r.Method, Target: t, Status: http.StatusOK, Outcome: "ok",
		Peer: c.Peer(), Remote: c.remote, Agent: agent(r.Header)}
	if d != nil {
		rec.Expires = d.Expires
		d.write(w)
	} else if refused != nil {
		rec.Status, rec.Outcome = refused.Status, refused.Code
		refused.write(w)
	}
	e.c.Auditor.Audit(rec)
}

// serve returns the document to write or the refusal, or neither when it wrote
// the answer itself. A panic below it ends the one request.
func (e *ECS) serve(w http.ResponseWriter, r *http.Request, c *Conn, t Target) (d *Document, refused *Refusal) {
	defer func() {
		if p := recover(); p != nil {
			d, refused = nil, c.panicked(p)
		}
	}()
	if refused := e.c.Guard.foreign(r, c); refused != nil {
		return nil, refused
	}
	if r.Method == http.MethodOptions {
		return nil, refuse(http.StatusForbidden, "method", "there is nothing here for another origin")
	}
	if t.Kind == Health || t.Kind == HealthOfSlot {
		return nil, e.health(w, r, t)
	}
	if refused := e.c.Guard.authority(r, c); refused != nil {
		return nil, refused
	}
	if r.Method == http.MethodGet {
		switch t.Kind {
		case DefaultSlot, NamedSlot, Source, RoleARN, RoleName:
			d, err := e.c.Slots.Document(r.Context(), t)
			if err != nil {
				return nil, refusalOf(err)
			}
			return d, nil
		}
	}
	return nil, e.manage(w, r, t)
}

// manage is everything but reading credentials.
func (e *ECS) manage(w http.ResponseWriter, r *http.Request, t Target) *Refusal {
	allow := ""
	switch t.Kind {
	case DefaultSlot, NamedSlot:
		switch allow = "GET, PUT, DELETE"; r.Method {
		case http.MethodPut:
			u, err := readUpload(w, r, time.Now())
			if err == nil {
				err = e.c.Shelf.Push(t.Name, u)
			}
			return done(w, err)
		case http.MethodDelete:
			return done(w, e.c.Shelf.Unload(t.Name))
		}
	case AllSlots:
		switch allow = "GET, DELETE"; r.Method {
		case http.MethodGet:
			writeJSON(w, http.StatusOK, wireProfiles(e.c.Shelf.Profiles(), time.Now()))
			return nil
		case http.MethodDelete:
			e.c.Shelf.UnloadNamed()
			return done(w, nil)
		}
	case ProfileInfo:
		if allow = "GET"; r.Method == http.MethodGet {
			p, err := e.c.Shelf.Profile("")
			if err != nil {
				return refusalOf(err)
			}
			writeJSON(w, http.StatusOK, p.wire(time.Now()))
			return nil
		}
	case Metrics:
		if allow = "GET"; r.Method == http.MethodGet && e.c.Metrics != nil {
			e.c.Metrics.ServeHTTP(w, r)
			return nil
		}
	case Source, RoleARN, RoleName:
		allow = "GET"
	}
	if allow == "" || t.Kind == Metrics && e.c.Metrics == nil {
		return refuse(http.StatusNotFound, "no_such_path", "no such path; the default slot is at /, named slots are at /slot/NAME")
	}
	if r.Method == http.MethodGet {
		return refuse(http.StatusNotFound, "no_such_path", "no such path")
	}
	refused := refuse(http.StatusMethodNotAllowed, "method", "this method is not for this path")
	refused.Allow = allow
	return refused
}

func done(w http.ResponseWriter, err error) *Refusal {
	if err != nil {
		return refusalOf(err)
	}
	writeDone(w)
	return nil
}

func agent(h http.Header) string {
	if v := h["User-Agent"]; len(v) > 0 {
		return v[0]
	}
	return ""
}
