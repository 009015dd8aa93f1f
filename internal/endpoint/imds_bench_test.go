package endpoint

import (
	"net/netip"
	"testing"
	"time"

	"rolecall/internal/peer"
)

// BenchmarkTokenKnown is what an IMDS token costs each request.
func BenchmarkTokenKnown(b *testing.B) {
	k := newTokens()
	own := holderOf(peer.Peer{UID: 1000, Known: true}, netip.Addr{})
	token := k.issue(time.Hour, own)
	b.ReportAllocs()
	for b.Loop() {
		if !k.knows(token, own) {
			b.Fatal("unknown")
		}
	}
}
