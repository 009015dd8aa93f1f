package endpoint

import (
	"context"
	"net/http"
	"rolecall/internal/usererr"
	"strconv"
	"sync/atomic"
	"time"
)

// Metadata is what the metadata endpoint tells.
type Metadata interface {
	// Role is asked with every request for the role or its credentials and must
	// answer from memory when it can. Errors are those of Slots.
	Role(ctx context.Context) (*RoleDocument, error)

	// Instance waits for nothing.
	Instance() Instance
}

// IMDSConfig of the metadata endpoint.
type IMDSConfig struct {
	Guard    *Guard // its AuthMode and Tokens mean nothing here
	Metadata Metadata
	Auditor  Auditor
	Access   IMDSAccess
}

// IMDS is the handler of the instance metadata service of EC2, versions 1 and 2,
// as far as SDKs and the programs around them use it. It belongs on a Server of
// this package, whose Hosts should be MetadataHosts.
type IMDS struct {
	c      IMDSConfig
	access atomic.Pointer[IMDSAccess]
	tokens *tokens
}

// NewIMDS returns the handler. No other one knows the tokens that it issues.
func NewIMDS(c IMDSConfig) *IMDS {
	m := &IMDS{c: c, tokens: newTokens()}
	m.Set(c.Access)
	return m
}

// Set replaces what it goes by. Requests see the old or the new.
func (m *IMDS) Set(a IMDSAccess) { m.access.Store(&a) }

func (m *IMDS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	if c == nil {
		refuse(http.StatusInternalServerError, "internal", "the connection is unknown").writeText(w)
		return
	}
	c.handling()
	t := metadataTarget(r.URL)
	now := time.Now()
	a := m.serve(r, c, t, now)
	rec := Record{Time: now, Endpoint: "imds", Method: r.Method, Target: t, Status: http.StatusOK, Outcome: "ok",
		Peer: c.Peer(), Remote: c.remote, Agent: agent(r.Header), Expires: a.expires, IMDSv1: a.v1}
	if a.refused != nil {
		rec.Status, rec.Outcome = a.refused.Status, a.refused.Code
		a.refused.writeText(w)
	} else {
		a.write(w)
	}
	m.c.Auditor.Audit(rec)
}

// metadataAnswer is what goes back: the refusal, or the body.
type metadataAnswer struct {
	refused *Refusal
	body    body
	ttl     []string  // of a new token, as a header's value
	expires time.Time // of the credentials in the body; zero: none are
	v1      bool
}

func (a *metadataAnswer) write(w http.ResponseWriter) {
	h := w.Header()
	setCommon(h)
	h["Content-Type"] = plainType
	h["Content-Length"] = a.body.length
	if a.ttl != nil {
		h[tokenTTLHeader] = a.ttl
	}
	_, _ = w.Write(a.body.bytes)
}

// serve answers. A panic below it ends the one request.
func (m *IMDS) serve(r *http.Request, c *Conn, t Target, now time.Time) (a metadataAnswer) {
	defer func() {
		if p := recover(); p != nil {
			a = metadataAnswer{refused: c.panicked(p)}
		}
	}()
	if refused := m.foreign(r, c); refused != nil {
		return metadataAnswer{refused: refused}
	}
	if r.Method == http.MethodOptions {
		return metadataAnswer{refused: refuse(http.StatusForbidden, "method", "there is nothing here for another origin")}
	}
	who, refused := m.client(c)
	if refused != nil {
		return metadataAnswer{refused: refused}
	}
	if t.Kind == MetadataToken {
		return m.token(r, c, who)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return metadataAnswer{refused: methodNotAllowed("GET, HEAD")}
	}
	v1, refused := m.session(r, c, who)
	if refused != nil {
		return metadataAnswer{refused: refused}
	}
	switch t.Kind {
	case MetadataRole, MetadataCredentials:
		a = m.role(r, t, now)
	case MetadataItem:
		a = m.item(r, t)
	default:
		a.refused = noMetadata()
	}
	a.v1 = v1
	return a
}

// token answers the request for an IMDS token. It waits for nothing and has no
// 5xx: after either, SDKs go on without a token.
func (m *IMDS) token(r *http.Request, c *Conn, who holder) metadataAnswer {
	if r.Method != http.MethodPut {
		return metadataAnswer{refused: methodNotAllowed("PUT")}
	}
	ttl, ok := tokenTTL(r.Header)
	if !ok {
		return metadataAnswer{refused: refuse(http.StatusBadRequest, "token_ttl",
			"400 - Bad Request: the header X-aws-ec2-metadata-token-ttl-seconds must be a number from 1 to 21600")}
	}
	if n := m.access.Load().HopLimit; n > 0 {
		c.limitHops(n)
	}
	token := m.tokens.issue(time.Duration(ttl)*time.Second, who)
	return metadataAnswer{body: newBody([]byte(token)), ttl: []string{strconv.Itoa(ttl)}}
}

// role answers with the role's name or its credentials.
func (m *IMDS) role(r *http.Request, t Target, now time.Time) metadataAnswer {
	d, err := m.c.Metadata.Role(r.Context())
	if err != nil {
		return m.noRole(refusalOf(err), t, now)
	}
	if t.Kind == MetadataRole {
		return metadataAnswer{body: d.name}
	}
	if t.Name != d.Name {
		return metadataAnswer{refused: noMetadata()}
	}
	a := metadataAnswer{body: d.at(now)}
	if r.Method == http.MethodGet {
		a.expires = d.Expires
	}
	return a
}

// noRole tells why there are no credentials. A role that may not be assumed is
// listed all the same, and its document tells the reason, as on EC2.
func (m *IMDS) noRole(refused *Refusal, t Target, now time.Time) metadataAnswer {
	if refused.Code != string(usererr.AccessDenied) {
		return metadataAnswer{refused: refused}
	}
	name := m.c.Metadata.Instance().RoleName
	if t.Kind == MetadataRole {
		return metadataAnswer{body: newBody([]byte(name))}
	}
	if t.Name != name {
		return metadataAnswer{refused: noMetadata()}
	}
	return metadataAnswer{body: roleFailure("AssumeRoleUnauthorizedAccess", refused.Msg, now)}
}

// item answers with all else.
func (m *IMDS) item(r *http.Request, t Target) metadataAnswer {
	if t.Name == "meta-data/iam/info" {
		d, err := m.c.Metadata.Role(r.Context())
		if err != nil {
			return metadataAnswer{refused: refusalOf(err)}
		}
		if d.info.bytes == nil {
			return metadataAnswer{refused: noMetadata()}
		}
		return metadataAnswer{body: d.info}
	}
	text, ok := m.c.Metadata.Instance().item(t.Name)
	if !ok {
		return metadataAnswer{refused: noMetadata()}
	}
	return metadataAnswer{body: newBody([]byte(text))}
}

// noMetadata is short: clients in C take the body of an error for a role's name.
func noMetadata() *Refusal { return refuse(http.StatusNotFound, "no_such_path", "404 - Not Found") }

func methodNotAllowed(allow string) *Refusal {
	r := refuse(http.StatusMethodNotAllowed, "method", "405 - Method Not Allowed")
	r.Allow = allow
	return r
}

var plainType = []string{"text/plain"}

// writeText answers with the message alone, which is all that clients of a
// metadata service show.
func (r *Refusal) writeText(w http.ResponseWriter) {
	h := w.Header()
	setCommon(h)
	r.setHeaders(h)
	h["Content-Type"] = plainType
	h.Set("Content-Length", strconv.Itoa(len(r.Msg)))
	w.WriteHeader(r.Status)
	_, _ = w.Write([]byte(r.Msg))
}
