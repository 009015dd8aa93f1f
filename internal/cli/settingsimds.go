package cli

import (
	"fmt"

	"github.com/spf13/pflag"

	"rolecall/internal/config"
)

func (f *serveFlags) addIMDS(s *pflag.FlagSet) {
	s.StringArrayVar(&f.imds, "imds", nil, "serve EC2 instance metadata at this `ADDRESS:PORT` for your own programs on this machine, may be repeated")
	s.BoolVar(&f.imdsV1, "imds-v1", false, "answer version 1 of it too, which needs no token")
	s.IntVar(&f.hopLimit, "imds-hop-limit", config.DefaultHopLimit, "how many `NETWORKS` (IP hops, 1 to 64) an IMDS token may travel")
	s.BoolVar(&f.linkLocal, "link-local", false, "as root: serve at 169.254.169.254, 169.254.170.2 and 169.254.170.23 of this machine, at port 80 (Linux)")
}

func (f *serveFlags) checkIMDS() error {
	for _, text := range f.imds {
		addr, err := config.ParseListen(text)
		if err != nil {
			return wrongUsage("--imds: "+err.Error(), "rolecall serve --imds "+config.DefaultIMDSListen)
		}
		f.imdsAddrs = append(f.imdsAddrs, addr)
	}
	if f.changed("imds-hop-limit") && (f.hopLimit < 1 || f.hopLimit > 64) {
		return wrongUsage(fmt.Sprintf("--imds-hop-limit %d is not a number from 1 to 64", f.hopLimit), "rolecall serve --imds "+config.DefaultIMDSListen+" --imds-hop-limit 2")
	}
	return nil
}

func (f *serveFlags) setIMDS(c *config.Config) {
	if len(f.imdsAddrs) > 0 {
		c.IMDS.Listen = f.imdsAddrs
	}
	c.IMDS.V1 = c.IMDS.V1 || f.imdsV1
	if f.changed("imds-hop-limit") {
		c.IMDS.HopLimit = f.hopLimit
	}
	c.LinkLocal = c.LinkLocal || f.linkLocal
}
