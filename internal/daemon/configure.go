package daemon

import (
	"context"
	"slices"
	"sort"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/slot"
	"rolecall/internal/usererr"
)

// configured are the slots of the configuration.
func configured(s config.Config) map[string]string {
	m := map[string]string{}
	if s.Load != "" {
		m[slot.Default] = s.Load
	}
	for _, n := range s.Slots {
		m[n.Name] = n.Source
	}
	return m
}

// configure puts the slots of the configuration in place. A source that does
// not resolve (a profile that is gone) gets a slot that says so and heals once
// the AWS files are mended; in strict ones it is an error.
func (d *daemon) configure(s config.Config, strict []string) error {
	wanted := configured(s)
	specs := map[string]slot.Spec{}
	for name, text := range wanted {
		spec, err := d.resolve(text)
		if err != nil {
			if slices.Contains(strict, name) {
				return err
			}
			d.log.Error("a configured slot has no source", "slot", shown(name), "source", text, "error", err.Error(), "hint", usererr.From(err).Hint)
			spec = slot.Spec{Source: text, Profile: text, Key: "unresolved " + text, Provider: creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
				spec, err := d.resolve(text)
				if err != nil {
					return creds.Credentials{}, err
				}
				return spec.Provider.Retrieve(ctx)
			})}
		}
		specs[name] = spec
	}
	for name, spec := range specs {
		d.table.Configure(name, spec)
		d.changed(name)
	}
	return nil
}

// reloads reads the configuration anew whenever that is wished.
func (d *daemon) reloads(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.c.Reload:
			_, _ = d.reload(ctx) // it logs
		}
	}
}

// reload puts the configuration as it is now into force, all of it or nothing.
func (d *daemon) reload(context.Context) (control.ReloadResult, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	r := control.ReloadResult{ConfigFile: d.c.ConfigFile, Changes: []string{}}
	s, err := d.c.Settings()
	var rebound []string
	if err == nil {
		rebound, err = d.rebind(s)
	}
	if err != nil {
		text := err.Error()
		d.reloadErr.Store(&text)
		d.log.Error("the configuration was not reloaded; the running one stays in force", "error", text)
		return r, err
	}
	old := *d.settings.Swap(&s)
	d.reloadErr.Store(nil)
	r.Changes = append(r.Changes, rebound...)
	r.Changes = append(r.Changes, d.settled(old, s)...)
	d.guard.Set(d.access(s))
	if d.imds != nil {
		d.imds.handler.Set(imdsAccess(s))
	}
	d.level.Set(s.Log.Level)
	r.Changes = append(r.Changes, d.reslot(old, s)...)
	d.open()
	d.log.Info("configuration reloaded", "changes", len(r.Changes))
	return r, nil
}

// settled says which of the settings that are neither listeners nor slots have
// changed, and which differ from those that this process was started with and
// cannot change.
func (d *daemon) settled(old, s config.Config) (changes []string) {
	began := d.began
	for _, c := range []struct {
		name    string
		changed bool
		later   bool // at the next start, and compared with the last
	}{
		{"hosts", !slices.Equal(old.Hosts, s.Hosts), false},
		{"auth.mode", old.Auth.Mode != s.Auth.Mode, false},
		{"auth.allow_uids", !slices.Equal(old.Auth.AllowUIDs, s.Auth.AllowUIDs), false},
		{"imds_v1", old.IMDS.V1 != s.IMDS.V1, false},
		{"imds_hop_limit", old.IMDS.HopLimit != s.IMDS.HopLimit, false},
		{"imds_allow", !slices.Equal(old.IMDS.Allow, s.IMDS.Allow), false},
		{"notify", old.Notify != s.Notify, false},
		{"notify_before", old.NotifyBefore != s.NotifyBefore, false},
		{"log.level", old.Log.Level != s.Log.Level, false},
		{"log.format", began.Log.Format != s.Log.Format, true},
		{"tls", began.TLS != s.TLS, true},
		{"metrics", began.Metrics != s.Metrics, true},
		{"max_connections", began.MaxConnections != s.MaxConnections, true},
		{"link_local", began.LinkLocal != s.LinkLocal, true},
		{"mfa_session", began.MFASession != s.MFASession, true},
		{"store", began.Store != s.Store || began.StorePasswordFile != s.StorePasswordFile || began.StoreCAFile != s.StoreCAFile ||
			began.StoreSentinelPasswordFile != s.StoreSentinelPasswordFile, true},
	} {
		switch {
		case c.changed && c.later:
			changes = append(changes, c.name+" takes effect at the next start")
		case c.changed:
			changes = append(changes, c.name+" is changed")
		}
	}
	return changes
}

// reslot brings slots in line: those that the configuration no longer names are
// emptied unless somebody has loaded something else into them since, and so are
// loaded ones whose profile is gone from the AWS files.
func (d *daemon) reslot(old, s config.Config) (changes []string) {
	was, now := configured(old), configured(s)
	for name, text := range was {
		if now[name] == text {
			continue
		}
		if _, still := now[name]; !still {
			if sl := d.table.Slot(name); sl != nil && d.sameSource(sl, text) && d.empty(name) {
				changes = append(changes, "slot "+shown(name)+" emptied: no longer configured")
				d.changed(name)
			}
		}
	}
	for name, text := range now {
		if was[name] != text {
			changes = append(changes, "slot "+shown(name)+" is now of "+text)
		}
	}
	for name, sl := range d.table.Slots {
		v := sl.Snapshot()
		if _, there := now[name]; there || v.Pushed {
			continue
		}
		if _, err := d.resolve(v.Spec.Source); err != nil && usererr.From(err).Code == usererr.NotConfigured && d.empty(name) {
			changes = append(changes, "slot "+shown(name)+" emptied: "+err.Error())
			d.changed(name)
		}
	}
	d.forgetGone()
	d.table.DropDerived(derivedSource)
	_ = d.configure(s, nil) // nothing is strict: cannot fail
	sort.Strings(changes)
	return changes
}

func (d *daemon) sameSource(sl *slot.Slot, text string) bool {
	v := sl.Snapshot()
	if v.Spec.Source == text {
		return true
	}
	spec, err := d.resolve(text)
	return err == nil && spec.Source == v.Spec.Source
}
