package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ListenAddr is a TCP address to listen on. The zero ListenAddr is not valid.
type ListenAddr struct{ netip.AddrPort }

// Loopback says whether only this machine can reach the address.
func (a ListenAddr) Loopback() bool { return a.Addr().IsLoopback() }

// ParseListen reads "ADDRESS:PORT". "localhost" is 127.0.0.1, and no address
// (":4144") is every IPv4 address, 0.0.0.0. Port 0 means any free port. Other
// names are refused: what they mean is up to somebody else's DNS.
func ParseListen(text string) (ListenAddr, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if _, perr := strconv.ParseUint(text, 10, 16); perr == nil {
			return ListenAddr{}, fmt.Errorf("%q is only a port; write %q", text, "127.0.0.1:"+text)
		}
		if _, aerr := netip.ParseAddr(strings.Trim(text, "[]")); aerr == nil || text == "localhost" {
			return ListenAddr{}, fmt.Errorf("%q has no port; write %q", text, net.JoinHostPort(strings.Trim(text, "[]"), "4144"))
		}
		return ListenAddr{}, fmt.Errorf("%q is not ADDRESS:PORT, such as %q", text, DefaultListen)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ListenAddr{}, fmt.Errorf("%q has a port that is not a number from 0 to 65535", text)
	}
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		host = "0.0.0.0"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ListenAddr{}, fmt.Errorf("%q has a host that is not an IP address or localhost", text)
	}
	return ListenAddr{netip.AddrPortFrom(addr.Unmap(), uint16(number))}, nil
}

// CheckHost says whether text can be the value of a Host header, "host" or
// "host:port", in lower case.
func CheckHost(text string) error {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		if n, err := strconv.ParseUint(text[i+1:], 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q has a port that is not a number from 1 to 65535", text)
		}
		host = text[:i]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			if a, err := netip.ParseAddr(inner); err == nil && a.Is6() && a.Zone() == "" {
				return nil
			}
		}
		return fmt.Errorf("%q is not an IPv6 address in brackets", text)
	}
	switch {
	case host == "":
		return errors.New("a host is empty")
	case strings.Contains(host, "://") || strings.Contains(text, "/"):
		return fmt.Errorf("%q is a URL; write only its host", text)
	case host != strings.ToLower(host):
		return fmt.Errorf("%q is not in lower case", text)
	case strings.Contains(host, "*"):
		return fmt.Errorf("%q has a wildcard; write each host out", text)
	}
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}
	if strings.ContainsFunc(host, bad) || len(host) > 253 || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return fmt.Errorf("%q is not a host name or address", text)
	}
	return nil
}
