package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/peercred"
	"rolecall/internal/slot"
	"rolecall/internal/usererr"
)

// commands are what the control socket offers.
func (d *daemon) commands() control.Daemon {
	return control.Daemon{Status: d.status, Load: d.load, SignIn: d.signIn, Unload: d.unload, Refresh: d.refresh, Reload: d.reload}
}

func (d *daemon) status(context.Context) (control.Status, error) {
	s := *d.settings.Load()
	st := control.Status{
		Version: d.c.Version, PID: os.Getpid(), Started: d.started, Auth: string(s.Auth.Mode), PeerByKernel: d.peers != nil && peercred.Supported(),
		TokenFile: d.tokenFile, ConfigFile: d.c.ConfigFile, Listeners: []control.Listener{}, Slots: []control.Slot{},
		Answers: d.metrics.answers.Load(), Denials: d.metrics.denied.Load(), AuditLost: d.audit.lost.Load(), Warnings: d.warnings(), Store: d.kept,
	}
	if e := d.reloadErr.Load(); e != nil {
		st.ConfigError = *e
	}
	for _, b := range d.listeners() {
		st.Listeners = append(st.Listeners, control.Listener{Endpoint: b.endpoint, URL: b.url, V1: b.endpoint == imdsEndpoint && s.IMDS.V1})
	}
	for _, name := range d.names() {
		if sl := d.table.Slot(name); sl != nil {
			st.Slots = append(st.Slots, wireSlot(sl.Snapshot(), false))
		}
	}
	var byURL []control.Slot
	for _, sl := range d.table.DerivedSlots {
		byURL = append(byURL, wireSlot(sl.Snapshot(), true))
	}
	slices.SortFunc(byURL, func(a, b control.Slot) int { return strings.Compare(a.Name, b.Name) })
	st.Slots = append(st.Slots, byURL...)
	return st, nil
}

const skewWorthTelling = time.Minute

func wireSlot(v slot.Snapshot, byURL bool) control.Slot {
	w := control.Slot{
		Name: v.Name, Source: v.Spec.Source, Profile: title(v.Spec), Region: v.Spec.Region,
		AccountID: v.Identity.AccountID, RoleName: v.Identity.RoleName, RoleARN: v.Identity.RoleARN, KeyID: v.Identity.MaskedKeyID(),
		State: string(v.State), Pushed: v.Pushed, Static: v.Static, ByURL: byURL, Remaining: max(0, v.Remaining.Seconds()),
		Refreshing: v.Refreshing, Refreshes: v.Counts.Refreshes, Failures: v.Counts.Failures,
		Expires: moment(v.Expires), RefreshAt: moment(v.RefreshAt),
	}
	if w.RoleName == "" {
		w.RoleName = creds.RoleNameFromARN(v.Identity.RoleARN)
	}
	if v.Skew.Abs() > skewWorthTelling {
		w.ClockSkew = v.Skew.Seconds()
	}
	if f := v.Failure; f != nil {
		w.Error = &control.Error{Code: f.Code, Message: f.Msg, Hint: f.Hint, MFA: f.MFA, At: moment(f.At), NextTry: moment(f.NextTry)}
	}
	return w
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// load fills a slot. It may take as long as the source does.
func (d *daemon) load(ctx context.Context, r control.LoadRequest) (control.LoadResult, error) {
	if err := checkName(r.Slot); err != nil {
		return control.LoadResult{}, err
	}
	spec, err := d.resolve(r.Source)
	if err != nil {
		return control.LoadResult{}, err
	}
	sl, kept, err := d.table.Load(ctx, r.Slot, spec)
	if err != nil && kept && r.Ask && usererr.From(err).MFA != "" {
		kept = !d.table.UnloadIf(r.Slot, sl) // until somebody has given the code
	}
	if err != nil && !kept {
		return control.LoadResult{}, err
	}
	d.changed(r.Slot)
	result := control.LoadResult{Slot: wireSlot(sl.Snapshot(), false)}
	if err != nil {
		result.Err = control.AsError(err)
	}
	return result, nil
}

// signIn uses an MFA code. Slots that waited for it look once a second.
func (d *daemon) signIn(ctx context.Context, r control.SignInRequest) (control.SignInResult, error) {
	until, err := d.resolver.SignIn(ctx, r.Source, r.Serial, r.Code, r.Renew)
	if err != nil {
		return control.SignInResult{}, err
	}
	if !until.IsZero() {
		d.log.Info("signed in with an MFA code", "device", r.Serial, "until", until)
	}
	return control.SignInResult{Until: moment(until)}, nil
}

func checkName(name string) error {
	if name == slot.Default {
		return nil
	}
	if err := config.CheckSlotName(name); err != nil {
		return &usererr.Error{Code: usererr.NotConfigured, Msg: "the slot's name cannot be used: " + err.Error()}
	}
	return nil
}

func (d *daemon) unload(_ context.Context, r control.UnloadRequest) ([]string, error) {
	names := []string{r.Slot}
	if r.All {
		names = d.names()
	}
	gone := []string{}
	for _, name := range names {
		if err := d.shelf().Unload(name); err == nil {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 && !r.All {
		return nil, noSlot(r.Slot)
	}
	return gone, nil
}

func noSlot(name string) error {
	if name == slot.Default {
		return &usererr.Error{Code: usererr.NotConfigured, Msg: "the default slot is empty", Hint: "fill it with: rolecall load PROFILE"}
	}
	return &usererr.Error{Code: usererr.NotConfigured, Msg: fmt.Sprintf("there is no slot %q", name), Hint: "see the slots with: rolecall list"}
}

func (d *daemon) refresh(ctx context.Context, r control.RefreshRequest) (control.Slot, error) {
	sl := d.table.Slot(r.Slot)
	if sl == nil {
		return control.Slot{}, noSlot(r.Slot)
	}
	err := sl.Refresh(ctx)
	return wireSlot(sl.Snapshot(), false), err
}
