package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

const mostHops = 64 // of EC2 instances too

func (d *decoder) imdsListen(p place, value any) {
	var a ListenAddr // in place of one that cannot be read, so that the indexes stay
	d.text(func(p place, s string) {
		var err error
		if a, err = ParseListen(s); err != nil {
			d.fault(p, "%v", err)
		}
	})(p, value)
	d.config.IMDS.Listen = append(d.config.IMDS.Listen, a)
}

func (d *decoder) network(p place, value any) {
	var n netip.Prefix
	d.text(func(p place, s string) {
		var err error
		if n, err = ParseNetwork(s); err != nil {
			d.fault(p, "%v", err)
		}
	})(p, value)
	d.config.IMDS.Allow = append(d.config.IMDS.Allow, n)
}

// ParseNetwork reads "ADDRESS/BITS", or one address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not a network, such as \"172.17.0.0/16\"", text)
	case n.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 network is written as one, such as \"172.17.0.0/16\"")
	case n.Masked() != n:
		return netip.Prefix{}, fmt.Errorf("%q has an address with bits beyond the network; write %q", text, n.Masked())
	}
	return n, nil
}

func (c Config) imdsFaults() (faults []Fault) {
	for i, a := range c.IMDS.Listen {
		p := at("imds").element(i)
		switch {
		case !a.IsValid():
			faults = append(faults, newFault(p, "is not ADDRESS:PORT, such as %q", DefaultIMDSListen))
		case a.Port() != 0 && slices.Contains(c.IMDS.Listen[:i], a):
			faults = append(faults, newFault(p, "%s is there twice", a))
		case a.Port() != 0 && slices.Contains(c.Listen, a):
			faults = append(faults, newFault(p, "%s is taken by listen; choose another port, such as %q", a, DefaultIMDSListen))
		case !a.Loopback() && len(c.IMDS.Allow) == 0:
			faults = append(faults, newFault(p, "%s is beyond loopback, where nobody is let in by the metadata service unless imds_allow "+
				"in the configuration names the addresses, such as imds_allow = [\"172.17.0.0/16\"]", a))
		}
	}
	for i, n := range c.IMDS.Allow {
		p := at("imds_allow").element(i)
		switch {
		case !n.IsValid():
			faults = append(faults, newFault(p, "is not a network, such as \"172.17.0.0/16\""))
		case n.Bits() == 0:
			faults = append(faults, newFault(p, "%s is every address there is; name the network of the programs that need credentials", n))
		case slices.Contains(c.IMDS.Allow[:i], n):
			faults = append(faults, newFault(p, "%s is there twice", n))
		}
	}
	if c.IMDS.HopLimit < 1 || c.IMDS.HopLimit > mostHops {
		faults = append(faults, newFault(at("imds_hop_limit"), "%d is not a number from 1 to %d", c.IMDS.HopLimit, mostHops))
	}
	if c.LinkLocal && c.TLS.Cert != "" {
		faults = append(faults, newFault(at("link_local"), "programs ask 169.254.170.2 over plain HTTP, so that it cannot be served with tls.cert; take out one of the two"))
	}
	return faults
}
