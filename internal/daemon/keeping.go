package daemon

import (
	"errors"
	"os"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/slot"
	"rolecall/internal/source"
	"rolecall/internal/store"
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
	key, err := store.OpenKey(store.KeyConfig{Dir: d.c.Dirs.Store, Getenv: getenv, Keychain: store.SystemKeychain(getenv), Make: true, Warn: func(m string) { d.log.Warn(m) }})
	var f *store.File
	if err == nil {
		var sealer *store.Sealer
		sealer, err = store.NewSealer(key.Bytes)
		if err == nil && s.Store.Remote() {
			return d.keepRemote(s, sealer, key)
		}
		if err == nil {
			f, err = store.NewFile(store.FileConfig{Dir: d.c.Dirs.Store, Sealer: sealer, Warn: func(m string) { d.log.Warn(m) }})
		}
	}
	if err != nil {
		d.kept = &control.Store{Kind: string(config.StoreMemory), Problem: problemOf(err)}
		return &store.Memory{}
	}
	d.kept = &control.Store{Kind: string(config.StoreFile), Dir: d.c.Dirs.Store, Key: string(key.Kind), Weakness: key.Weakness()}
	d.sessions = f // not on a server: an MFA session is for this machine
	return f
}

// keepRemote keeps credentials on a server that many machines share. It is not
// asked before the first credentials are needed; while it fails, every daemon
// goes on alone.
func (d *daemon) keepRemote(s config.Config, sealer *store.Sealer, key store.Key) slot.Store {
	r, err := store.NewRedis(store.RedisConfig{URL: string(s.Store), PasswordFile: s.StorePasswordFile, CAFile: s.StoreCAFile,
		Sealer: sealer, Warn: func(m string) { d.log.Warn(m) }})
	if err != nil {
		d.kept = &control.Store{Kind: string(config.StoreMemory), Problem: problemOf(err)}
		return &store.Memory{}
	}
	d.closeStore = func() { _ = r.Close() }
	d.kept = &control.Store{Kind: "redis", Key: string(key.Kind), Weakness: key.Weakness()}
	return r
}

// problemOf says why credentials are in memory only.
func problemOf(err error) string {
	problem := "credentials are kept in memory only: " + err.Error()
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
