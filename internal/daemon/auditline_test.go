package daemon

import (
	"net/netip"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/peercred"
)

// A run of records says for each what it would say alone, whatever came before.
func TestAuditRun(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	first := endpoint.Record{Time: at, Endpoint: "ecs", Method: "GET", Target: endpoint.Target{Kind: endpoint.NamedSlot, Name: "a"}, Status: 200, Outcome: "ok", Expires: at.Add(time.Hour),
		Peer: peercred.Peer{UID: 1, Known: true, Inode: 7, PID: 9, Program: "php"}, Remote: netip.MustParseAddrPort("127.0.0.1:1"), Agent: "sdk/1"}
	var run []endpoint.Record
	for _, change := range []func(*endpoint.Record){
		func(*endpoint.Record) {},
		func(r *endpoint.Record) {
			r.Time, r.Remote = at.Add(time.Second), netip.MustParseAddrPort("127.0.0.1:2")
		},
		func(r *endpoint.Record) { r.Agent = "sdk/2" },
		func(r *endpoint.Record) { r.Agent = "" },
		func(r *endpoint.Record) { r.Endpoint = "imds" },
		func(r *endpoint.Record) { r.IMDSv1 = true },
		func(r *endpoint.Record) { r.Target.Name = "b" },
		func(r *endpoint.Record) { r.Target.Kind = endpoint.Source },
		func(r *endpoint.Record) { r.Expires = at.Add(2 * time.Hour) },
		func(r *endpoint.Record) { r.Status, r.Outcome, r.Expires = 401, "no_token", time.Time{} },
		func(r *endpoint.Record) { r.Peer.UID = 2 },
		func(r *endpoint.Record) { r.Peer.Known = false },
		func(r *endpoint.Record) { r.Peer.PID = 10 },
		func(r *endpoint.Record) { r.Peer.Program = "node" },
		func(r *endpoint.Record) { r.Peer.Inode = 8 },
		func(r *endpoint.Record) { r.Method = "HEAD" },
	} {
		r := first
		change(&r)
		run = append(run, r, r, first)
	}
	for _, asJSON := range []bool{true, false} {
		lone := func(r endpoint.Record) string {
			return string(newAuditor(nil, asJSON, nil, nil, creds.Secret{}).append(nil, &r))
		}
		together := newAuditor(nil, asJSON, nil, nil, creds.Secret{})
		seen := map[string]bool{}
		for i, r := range run {
			got := string(together.append(nil, &r))
			if got != lone(r) {
				t.Errorf("record %d: %q, want %q", i, got, lone(r))
			}
			seen[got] = true
		}
		if len(seen) != len(run)/3-1 { // the inode is not told
			t.Errorf("%d different lines of %d", len(seen), len(run)/3-1)
		}
	}
}
