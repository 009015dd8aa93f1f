package config

import (
	"math"
	"slices"
	"time"
)

const maxMaxConnections = 1_000_000

// Validate returns everything that is wrong with the configuration, wherever it
// came from (a file, flags). The faults name keys and no lines. It looks at no
// file, and whether a source can be had is not its business.
func (c Config) Validate() []Fault {
	return slices.Concat(c.listenFaults(), c.hostFaults(), c.slotFaults(), c.imdsFaults(), c.authFaults(), c.otherFaults())
}

// Check is Validate as an error: nil, or a *FaultsError.
func (c Config) Check() error { return faultsError(c.Validate()) }

func (c Config) listenFaults() (faults []Fault) {
	for i, a := range c.Listen {
		p := at("listen").element(i)
		switch {
		case !a.IsValid():
			faults = append(faults, newFault(p, "is not ADDRESS:PORT, such as %q", DefaultListen))
		case a.Port() != 0 && slices.Contains(c.Listen[:i], a):
			faults = append(faults, newFault(p, "%s is there twice", a))
		case !a.Loopback() && c.Auth.Mode == AuthNone:
			faults = append(faults, newFault(p, "%s is beyond loopback, and with auth.mode %q everybody who reaches it would get credentials; "+
				"listen on 127.0.0.1, or set auth.mode to %q", a, AuthNone, AuthToken))
		}
	}
	return faults
}

func (c Config) hostFaults() (faults []Fault) {
	for i, h := range c.Hosts {
		p := at("hosts").element(i)
		if err := CheckHost(h); err != nil {
			faults = append(faults, newFault(p, "%v", err))
		} else if slices.Contains(c.Hosts[:i], h) {
			faults = append(faults, newFault(p, "%q is there twice", h))
		}
	}
	return faults
}

func (c Config) slotFaults() (faults []Fault) {
	if c.Load != "" {
		if err := CheckSource(c.Load); err != nil {
			faults = append(faults, newFault(at("load"), "%v", err))
		}
	}
	for i, s := range c.Slots {
		p := at("slots", s.Name)
		if err := CheckSlotName(s.Name); err != nil {
			faults = append(faults, newFault(p, "%v", err))
		}
		if err := CheckSource(s.Source); err != nil {
			faults = append(faults, newFault(p, "%v", err))
		}
		if slices.ContainsFunc(c.Slots[:i], func(o Slot) bool { return o.Name == s.Name }) {
			faults = append(faults, newFault(p, "the slot is there twice"))
		}
	}
	return faults
}

func (c Config) authFaults() (faults []Fault) {
	modes := []AuthMode{AuthAuto, AuthToken, AuthNone}
	if !slices.Contains(modes, c.Auth.Mode) {
		faults = append(faults, newFault(at("auth", "mode"), "%q is not one of %q", c.Auth.Mode, modes))
	}
	for i, uid := range c.Auth.AllowUIDs {
		if uid == math.MaxUint32 {
			faults = append(faults, newFault(at("auth", "allow_uids").element(i), "%d is not a user", uid))
		}
	}
	return faults
}

func (c Config) otherFaults() (faults []Fault) {
	if c.MaxConnections < 1 || c.MaxConnections > maxMaxConnections {
		faults = append(faults, newFault(at("max_connections"), "%d is not a number from 1 to %d", c.MaxConnections, maxMaxConnections))
	}
	if c.MFASession < 15*time.Minute || c.MFASession > 36*time.Hour {
		faults = append(faults, newFault(at("mfa_session"), "%s is not from 15m to 36h, which AWS allows", c.MFASession))
	}
	if c.NotifyBefore < 0 || c.NotifyBefore > 24*time.Hour {
		faults = append(faults, newFault(at("notify_before"), "%s is not from 0s to 24h", c.NotifyBefore))
	}
	if stores := []Store{StoreFile, StoreMemory}; !slices.Contains(stores, c.Store) && !c.Store.Remote() {
		faults = append(faults, newFault(at("store"), "%q is not one of %q, nor a redis:// URL", c.Store, stores))
	}
	switch {
	case c.TLS.Cert != "" && c.TLS.Key == "":
		faults = append(faults, newFault(at("tls", "cert"), "a certificate needs its private key: add the key tls.key"))
	case c.TLS.Cert == "" && c.TLS.Key != "":
		faults = append(faults, newFault(at("tls", "key"), "a private key needs its certificate: add the key tls.cert"))
	}
	formats := []LogFormat{LogAuto, LogText, LogJSON}
	if !slices.Contains(formats, c.Log.Format) {
		faults = append(faults, newFault(at("log", "format"), "%q is not one of %q", c.Log.Format, formats))
	}
	return faults
}
