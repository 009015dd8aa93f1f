package doctor

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The link-local addresses that SDKs know.
const (
	relativeBase = "http://169.254.170.2"
	imdsBase     = "http://169.254.169.254"
	imdsBaseV6   = "http://[fd00:ec2::254]"
)

var (
	ecsAddr   = netip.MustParseAddr("169.254.170.2")
	eksAddr   = netip.MustParseAddr("169.254.170.23")
	eksAddrV6 = netip.MustParseAddr("fd00:ec2::23")
)

// lookup resolves a name; tests give another.
type lookup func(host string) []netip.Addr

// lookupLimit leaves enough of the second that an endpoint is asked in. Where the
// name servers do not answer, no SDK gets further either.
const lookupLimit = 400 * time.Millisecond

// localLookup knows what a resolver must answer for names of this machine, and
// asks the system's for others.
func localLookup(host string) []netip.Addr { return lookupBy(net.DefaultResolver, host) }

func lookupBy(r *net.Resolver, host string) []netip.Addr {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	return addrs
}

// accepts says whether the SDK asks u, the URL of container credentials, and if
// not, why in a few words. mode is AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE.
func (s SDK) accepts(u *url.URL, mode string, resolve lookup) (bool, string) {
	switch u.Scheme {
	case "https":
		return true, ""
	case "http":
	default:
		return false, "it must begin with http:// or https://"
	}
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	if err == nil {
		if s.Hosts.allows(addr.Unmap(), strings.EqualFold(mode, "IPv6")) {
			return true, ""
		}
		return false, "over http it takes no host " + host
	}
	if s.Hosts.Names == Localhost {
		if strings.EqualFold(host, "localhost") {
			return true, ""
		}
		return false, "over http it takes no name but localhost"
	}
	addrs := resolve(host)
	if len(addrs) == 0 {
		return false, host + " has no address here"
	}
	for _, a := range addrs {
		if !s.Hosts.allows(a, false) {
			return false, "over http it takes no host " + host + ", which is " + a.String()
		}
	}
	return true, ""
}

func (h Hosts) allows(a netip.Addr, ipv6Mode bool) bool {
	switch {
	case a == ecsAddr, a == eksAddr:
		return true
	case a == eksAddrV6:
		return h.V6 || ipv6Mode
	case a == netip.IPv6Loopback():
		return h.Loopback != IPv4Loopback
	case !a.Is4() || a.As4()[0] != 127:
		return false
	case h.Loopback == FirstBlock:
		b := a.As4()
		return b[1] == 0 && b[2] == 0
	}
	return true
}
