package world

import (
	"net"
	"testing"
)

// Silent is the address of a server that takes connections (the kernel does) and
// never answers, until the test ends. network is "tcp" or "unix".
func Silent(t testing.TB, network, addr string) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
