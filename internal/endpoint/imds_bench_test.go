package endpoint

import (
	"net/netip"
	"testing"
	"time"

	"rolecall/internal/peercred"
)

// BenchmarkTokenKnown is what an IMDS token costs the first request of a
// connection, and each of the others.
func BenchmarkTokenKnown(b *testing.B) {
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "first", true: "again"}[again], func(b *testing.B) { tokenKnown(b, again) })
	}
}

func tokenKnown(b *testing.B, again bool) {
	k := newTokens()
	own := holderOf(peercred.Peer{UID: 1000, Known: true}, netip.Addr{})
	token := k.issue(time.Hour, own)
	b.ReportAllocs()
	var conn opened
	for b.Loop() {
		if !again {
			conn = opened{}
		}
		if !k.knows(token, own, &conn) {
			b.Fatal("unknown")
		}
	}
}
