package daemon

import (
	"errors"
	"os"
	"strings"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/slot"
	"rolecall/internal/source"
	"rolecall/internal/store"
	"rolecall/internal/usererr"
)

// keep opens the store that the settings name. What cannot be used is a warning
// and no error: then credentials live in memory only, which serves just as well
// until the next start.
func (d *daemon) keep(s config.Config) slot.Store {
	switch {
	case d.c.Sessions != nil:
		d.sessions = d.c.Sessions
		return d.c.Store
	case d.c.Store != nil:
		return d.c.Store
	case d.c.Private:
		return nil
	case s.Store == config.StoreMemory || d.c.Dirs.Store == "":
		d.kept = &control.Store{Kind: string(config.StoreMemory)}
		return &store.Memory{}
	}
	getenv := d.c.Getenv
	warn := func(m string) { d.log.Warn(m) }
	c := store.SharedConfig{Key: store.KeyConfig{Dir: d.c.Dirs.Store, Getenv: getenv, Keychain: store.SystemKeychain(getenv), Make: true, Warn: warn}}
	if s.Store.Remote() {
		c.Fleet = store.RedisConfig{URL: string(s.Store), PasswordFile: s.StorePasswordFile, SentinelPasswordFile: s.StoreSentinelPasswordFile, CAFile: s.StoreCAFile}
	}
	shared, err := store.Open(c)
	if err != nil {
		d.kept = &control.Store{Kind: string(config.StoreMemory), Problem: problemOf("credentials are kept in memory only", err)}
		return &store.Memory{}
	}
	d.closeStore = shared.Close
	d.kept = &control.Store{Kind: string(config.StoreFile), Dir: d.c.Dirs.Store, Key: string(shared.Key.Kind), KeyID: shared.KeyID(), Weakness: shared.Key.Weakness()}
	switch {
	case shared.Fleet != nil:
		d.kept.Kind, d.kept.URL = "redis", store.Redacted(string(s.Store))
	case shared.FleetErr != nil:
		d.kept.Problem = problemOf("credentials are shared on this machine only", shared.FleetErr)
	}
	if shared.File != nil {
		d.sessions = shared.File // not on a server: an MFA session is for this machine
	}
	if shared.File == nil {
		d.kept.Dir, d.kept.Problem = "", problemOf("credentials are kept on the shared server only", shared.FileErr)
	}
	return shared
}

// empty takes a slot away, and what this machine keeps for it unless another
// slot is of the same source: who empties a slot wants its credentials gone.
func (d *daemon) empty(name string) bool {
	s := d.table.Slot(name)
	if s == nil || !d.table.Unload(name) {
		return false
	}
	gone := []slot.Spec{s.Snapshot().Spec}
	if name == slot.Default {
		for name, s := range d.table.DerivedSlots {
			if strings.HasPrefix(name, derivedRole) {
				gone = append(gone, s.Snapshot().Spec)
			}
		}
		d.table.DropDerived(derivedRole)
	}
	for _, spec := range gone {
		d.forget(spec)
	}
	return true
}

// forgetGone drops what is kept for sources used by URL that the AWS files no
// longer have.
func (d *daemon) forgetGone() {
	for name, s := range d.table.DerivedSlots {
		if spec := s.Snapshot().Spec; strings.HasPrefix(name, derivedSource) {
			if _, err := d.resolve(spec.Source); err != nil && usererr.From(err).Code == usererr.NotConfigured {
				d.table.DropDerived(name)
				d.forget(spec)
			}
		}
	}
}

func (d *daemon) forget(spec slot.Spec) {
	kept, ok := d.store.(interface{ Forget(key string) })
	if !ok || spec.Key == "" {
		return
	}
	for _, slots := range []func(func(string, *slot.Slot) bool){d.table.Slots, d.table.DerivedSlots} {
		for _, s := range slots {
			if s.Snapshot().Spec.Key == spec.Key {
				return
			}
		}
	}
	kept.Forget(spec.Key)
}

// problemOf says where credentials are not as the configuration says, and why.
func problemOf(what string, err error) string {
	problem := what + ": " + err.Error()
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		problem += " (" + hinted.Hint() + ")"
	}
	return problem
}

// environ is what a source's programs get. It is marked, so that a
// `rolecall process` among them does not ask this daemon, which waits for it.
func (d *daemon) environ() []string {
	if d.c.Environ == nil {
		return source.Mark(os.Environ(), source.Daemon)
	}
	return source.Mark(d.c.Environ(), source.Daemon)
}
