package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/peercred"
)

// auditor writes one record per answered request, off the requests' path: they
// put it in a buffer, and a job encodes and writes what has gathered. When the
// log cannot keep up, records are lost and counted, never requests held up.
type auditor struct {
	out     io.Writer
	json    bool
	level   *slog.LevelVar
	metrics *metrics
	token   creds.Secret // not to be written, even where a client put it in a URL
	lost    atomic.Uint64

	mu     sync.Mutex // guards what follows
	filled []endpoint.Record
	wake   chan struct{} // has room for one

	spare    []endpoint.Record // swapped with filled by run, like buf its own
	buf      []byte
	second   int64 // that stamp tells
	stamp    []byte
	what     endpoint.Record // the last one that told of credentials, see whatOf
	told     []byte          // how the log says it
	programs programs
}

const (
	auditRoom   = 8192                  // records between two writes
	auditGather = 50 * time.Millisecond // at least this between two writes
)

func newAuditor(out io.Writer, json bool, level *slog.LevelVar, m *metrics, token creds.Secret) *auditor {
	return &auditor{out: out, json: json, level: level, metrics: m, token: token, wake: make(chan struct{}, 1)}
}

// Audit counts and keeps a record. It takes no longer than a copy.
func (a *auditor) Audit(r endpoint.Record) {
	a.metrics.answered(&r)
	if !a.wanted(&r) {
		return
	}
	a.mu.Lock()
	full := len(a.filled) >= auditRoom
	first := len(a.filled) == 0
	if !full {
		a.filled = append(a.filled, r)
	}
	a.mu.Unlock()
	if full {
		a.lost.Add(1)
	}
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// wanted leaves out health checks that went well, and all that the log level
// leaves out.
func (a *auditor) wanted(r *endpoint.Record) bool {
	if r.Target.Kind == endpoint.Health || r.Target.Kind == endpoint.HealthOfSlot {
		return r.Outcome != "ok"
	}
	return severity(r) >= a.level.Level()
}

func severity(r *endpoint.Record) slog.Level {
	if r.Status >= http.StatusBadRequest {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// run writes records until ctx ends, and then what is left.
func (a *auditor) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			a.flush()
			return nil
		case <-a.wake:
		}
		a.flush()
		timer.Reset(auditGather)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

func (a *auditor) flush() {
	a.mu.Lock()
	batch := a.filled
	a.filled = a.spare[:0]
	a.mu.Unlock()
	if len(batch) == 0 {
		a.spare = batch
		return
	}
	a.programs.learn(batch)
	buf := a.buf[:0]
	for i := range batch {
		buf = a.append(buf, &batch[i])
		if len(buf) > 32<<10 {
			_, _ = a.out.Write(buf) // a log that is gone must not stop the daemon
			buf = buf[:0]
		}
	}
	_, _ = a.out.Write(buf)
	clear(batch)
	a.buf, a.spare = buf, batch
}

// programs finds the process behind a connection, for people to read. A walk
// over all processes takes milliseconds, so walks are spaced such that they
// take half a percent of the time at most; what comes between stays without.
type programs struct {
	known map[uint32]peercred.Process
	next  time.Time
}

const (
	walkShare = 200 // one part in
	mostKnown = 4096
)

func (p *programs) learn(batch []endpoint.Record) {
	var unknown, uids []uint32
	seen := map[uint32]bool{}
	for i := range batch {
		at := batch[i].Peer
		if at.Inode == 0 || !at.Known {
			continue
		}
		if _, there := p.known[at.Inode]; !there {
			unknown = append(unknown, at.Inode)
			if !seen[at.UID] {
				seen[at.UID] = true
				uids = append(uids, at.UID)
			}
		}
	}
	if now := time.Now(); len(unknown) > 0 && now.After(p.next) {
		if p.known == nil || len(p.known) > mostKnown {
			p.known = map[uint32]peercred.Process{}
		}
		for inode, proc := range peercred.Processes(unknown, uids...) {
			p.known[inode] = proc
		}
		p.next = now.Add(walkShare * time.Since(now))
	}
	for i := range batch {
		if proc, there := p.known[batch[i].Peer.Inode]; there {
			batch[i].Peer.PID, batch[i].Peer.Program = proc.PID, proc.Program
		}
	}
}
