package cli

import (
	"context"
	"fmt"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/source"
)

// resolver makes sources of this command's own environment.
func (a *app) resolver() *source.Resolver {
	return source.New(source.Config{Getenv: a.getenv, Environ: a.environ, Home: a.home(), SSOSessions: a.ssoSessionsFile(), Sessions: a.mfaSessions(),
		MFASession: a.mfaLength(), Warn: func(msg string) { a.warn(msg, "") }})
}

// sourceText is a source as every daemon reads it: a profile whose name has a
// colon is written profile:NAME.
func (a *app) sourceText(text string) string {
	if text == "" {
		return ""
	}
	if _, err := source.Canonical(text); err == nil {
		return text
	}
	if full, err := a.resolver().Canonical(text); err == nil {
		return full
	}
	return text // the daemon says what is wrong with it
}

// upload resolves a source here and puts its credentials in a slot of --server.
func (a *app) upload(ctx context.Context, o loadOptions, text string) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	here := a.resolver()
	s, err := here.Resolve(text)
	if err != nil {
		return err
	}
	var got creds.Credentials
	err = a.withCodes(ctx, o.mfa, giveHere(here, text, false), func() (err error) {
		got, err = s.Provider.Retrieve(ctx)
		return err
	})
	if err != nil {
		return err
	}
	name := s.Profile
	if name == "" {
		name = s.Text
	}
	if !got.CanExpire() {
		return failed(s.Text+" gives keys that never expire, and a server takes only those that do",
			"upload those of a role: rolecall load role:ARN@"+s.Text+" --server "+r.URL())
	}
	if err := r.Push(ctx, o.slot, name, got); err != nil {
		return err
	}
	a.remember(s.Profile)
	shown := uploaded(o.slot, s, got)
	if o.json {
		return writeJSON(a.stdout, control.LoadResult{Slot: shown})
	}
	fmt.Fprintf(a.stdout, "%s (uploaded to %s; nobody refreshes it there)\n", visible(loadedLine(shown, time.Now())), r.URL())
	return nil
}

func uploaded(slot string, s *source.Source, c creds.Credentials) control.Slot {
	end := c.Expires.UTC().Truncate(time.Second)
	return control.Slot{Name: slot, Source: s.Text, Profile: s.Profile, AccountID: c.AccountID, RoleName: c.RoleName, RoleARN: c.RoleARN,
		Region: s.Region, KeyID: c.MaskedKeyID(), State: "valid", Pushed: true, Expires: &end, Remaining: time.Until(end).Seconds()}
}
