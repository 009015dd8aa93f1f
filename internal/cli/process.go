package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/source"
	"rolecall/internal/store"
	"rolecall/internal/usererr"
)

func (a *app) processCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "process [SOURCE]",
		Short: "Print credentials as a credential_process of the AWS SDKs does",
		Long: `Print credentials of SOURCE, or of the default slot, as the JSON that AWS SDKs and the
aws CLI expect of a credential_process. Fresh ones come from the store in a few
milliseconds; else a running daemon is asked, else the source itself, by one process
of however many ask at that time.

It never asks a question and opens no browser: where somebody must sign in, it says how
on stderr and ends with exit code 4.`,
		Example: `  # in ~/.aws/config
  [profile dev-cached]
  credential_process = rolecall process dev`,
		Args: oneSource,
		RunE: func(c *cobra.Command, args []string) error {
			p := process{app: a}
			if len(args) > 0 {
				p.source = args[0]
			}
			got, err := p.credentials(c.Context())
			if err != nil {
				return err
			}
			return p.print(got)
		},
		ValidArgsFunction: a.completeSources,
	}
}

// processAtOnce is the command where fresh credentials are in the store, which
// is how nearly all of its runs end: without signals to watch and a command line
// to build, each of which takes longer than the answer.
func (a *app) processAtOnce(args []string) bool {
	if len(args) != 2 || args[0] != "process" || args[1] == "" || args[1][0] == '-' {
		return false
	}
	p := process{app: a, source: args[1]}
	var err error
	if p.dirs, err = a.dirs(); err != nil {
		return false
	}
	p.alias = p.aliasOf(p.source)
	c, ok := p.quick()
	return ok && p.print(c) == nil
}

// process is one run of the command.
type process struct {
	*app
	source string // "": the default slot, or where no daemon runs the SDK's chain
	dirs   config.Dirs
	alias  string
}

const (
	soonest   = 65 * time.Minute // before the end, at most, credentials are no longer fresh: SDKs' windows are up to an hour
	usable    = time.Minute      // what is left to hand out when there is nothing better
	unhurried = 10 * time.Minute // with more than this left, nobody waits for a renewal under way
	waitMore  = 6 * time.Second  // for other processes, beside the source's own time
)

// due says whether credentials that are still good are to be replaced: in the
// second half of their lifetime, as in a slot.
func due(c creds.Credentials, left time.Duration) bool {
	total := left
	if !c.ObservedAt.IsZero() {
		total = c.Lifetime(c.ObservedAt)
	}
	return left < min(total/2, soonest)
}

func (p *process) credentials(ctx context.Context) (creds.Credentials, error) {
	var err error
	if p.dirs, err = p.app.dirs(); err != nil {
		return creds.Credentials{}, err
	}
	within := source.Within(p.getenv)
	if p.source == "" && len(within) == 0 {
		c, err := p.ask(ctx)
		if err == nil || !errors.Is(err, control.ErrNoDaemon) {
			return c, err
		}
	}
	asked := p.source
	if p.source == "" {
		p.source = "default"
	}
	p.alias = p.aliasOf(p.source)
	if asked == "" { // else processAtOnce has looked just now
		if c, ok := p.quick(); ok {
			return c, nil
		}
	}
	if asked != "" && len(within) == 0 {
		c, err := p.ask(ctx)
		var e *usererr.Error
		if err == nil || errors.As(err, &e) && e.Code.NeedsPerson() {
			return c, err
		}
	}
	return p.shared(ctx, within)
}

// quick is the credentials in the store when they are fresh. It reads the key,
// a link and the entry, and nothing else.
func (p *process) quick() (creds.Credentials, bool) {
	s, err := p.storeAt(p.dirs, store.KeyConfig{}, store.RedisConfig{})
	if err != nil || s.File == nil {
		return creds.Credentials{}, false
	}
	c, left, ok := s.File.PeekLink(p.alias)
	return c, ok && !due(c, left)
}

// ask asks this user's daemon.
func (p *process) ask(ctx context.Context) (creds.Credentials, error) {
	st, err := p.status(ctx)
	if err != nil {
		return creds.Credentials{}, err
	}
	base, err := baseURL(st.Listeners)
	if err != nil {
		return creds.Credentials{}, err
	}
	var token creds.Secret
	if st.Auth != "none" {
		if token, err = readToken(st.TokenFile); err != nil {
			return creds.Credentials{}, err
		}
	}
	r, err := control.NewRemote(base, token)
	if err != nil {
		return creds.Credentials{}, err
	}
	return r.Credentials(ctx, pathOf("", p.sourceText(p.source)))
}

// shared asks the source, or takes what another process has just got from it.
func (p *process) shared(ctx context.Context, within []string) (creds.Credentials, error) {
	settings, err := p.readConfig(p.dirs, "")
	if err != nil {
		return creds.Credentials{}, err
	}
	var s *source.Source
	s, err = source.New(source.Config{Getenv: p.getenv, Environ: func() []string { return source.Mark(p.environ(), s.Text) }, Home: p.home(),
		SSOSessions: p.dirs.SSOSessions(), Sessions: p.mfaSessions(), MFASession: settings.MFASession, Warn: func(msg string) { p.warn(msg, "") }}).Resolve(p.source)
	if err != nil {
		return creds.Credentials{}, err
	}
	if slices.Contains(within, s.Text) {
		return creds.Credentials{}, &usererr.Error{Code: usererr.NotConfigured, Msg: fmt.Sprintf("the source %s asks itself: its credential_process is this very command", s.Text),
			Hint: "give the profile with credential_process = rolecall process … another name than the one that it asks for"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout+waitMore)
	defer cancel()
	if settings.Store == config.StoreMemory {
		return s.Provider.Retrieve(ctx)
	}
	warn := func(m string) { p.warn(m, "") }
	kept, err := p.storeAt(p.dirs, store.KeyConfig{Make: true, Warn: warn}, fleetOf(settings))
	if err != nil {
		p.warnOf("credentials are not kept", err)
		return s.Provider.Retrieve(ctx)
	}
	defer kept.Close()
	for _, err := range []error{kept.FileErr, kept.FleetErr} {
		if err != nil {
			p.warnOf("credentials are not shared as they should be", err)
		}
	}
	c, err := p.update(ctx, kept, s)
	if err == nil && c.CanExpire() && kept.File != nil {
		kept.File.Link(p.alias, s.Key)
	}
	return c, err
}

// update is what is kept when it is fresh, else what the source answers, and
// when that fails what is kept and still good.
func (p *process) update(ctx context.Context, kept *store.Shared, s *source.Source) (creds.Credentials, error) {
	if c, left, ok := kept.Peek(s.Key); ok && left > unhurried && kept.File.Busy(s.Key) {
		return c, nil // the next one will print what is fetched now
	}
	if c, ok, err := p.soon(kept, s.Key); ok {
		return c, err
	}
	var old creds.Credentials // good for a while, though not fresh
	c, _, err := kept.Update(ctx, s.Key, func(c creds.Credentials) bool {
		left := c.Remaining(time.Now())
		if left > usable {
			old = c
		}
		return !due(c, left)
	}, s.Provider.Retrieve)
	if err == nil || old.Remaining(time.Now()) <= usable || kept.Denied(s.Key) {
		return c, err
	}
	p.insteadOf(err)
	return old, nil
}

const (
	again     = time.Minute      // at least, between two tries to renew what is still good
	againSoon = 15 * time.Second // the same, near the end
	nearEnd   = 5 * time.Minute
	atOnce    = time.Second // a failure that is newer than this is told again
)

// soon answers without another try when the last one has just failed: programs
// that start one after another must neither wait each for a source that is
// down, nor ask it over and over.
func (p *process) soon(kept *store.Shared, key string) (c creds.Credentials, ok bool, err error) {
	if kept.File == nil {
		return c, false, nil
	}
	ago, _, err := kept.File.Failed(key)
	if err == nil {
		return c, false, nil
	}
	c, left, have := kept.Peek(key)
	pause := again
	if left < nearEnd {
		pause = againSoon
	}
	switch {
	case have && left > usable && ago < pause:
		p.insteadOf(err)
		return c, true, nil
	case ago < atOnce && !mendedHere(err):
		return creds.Credentials{}, true, err
	}
	return c, false, nil
}

// mendedHere says whether a person may just have mended it on this machine.
func mendedHere(err error) bool {
	code := usererr.From(err).Code
	return code == usererr.LoginRequired || code == usererr.NotConfigured
}

// insteadOf says that what is printed is not what it should be.
func (p *process) insteadOf(err error) {
	p.warnOf("credentials that are still good are printed, for newer ones cannot be had", err)
}

// print writes the JSON of a credential_process: AWS CLI user guide, "Sourcing
// credentials with an external process". It is put together by hand: most of
// what encoding/json does for a struct is done at its first use, which is the
// only one here.
func (p *process) print(c creds.Credentials) error {
	text := []byte(`{"Version":1`)
	add := func(name, value string) {
		quoted, _ := json.Marshal(value) // a string always encodes
		text = append(append(text, `,"`+name+`":`...), quoted...)
	}
	add("AccessKeyId", c.AccessKeyID)
	add("SecretAccessKey", c.SecretAccessKey.Reveal())
	if !c.SessionToken.IsZero() {
		add("SessionToken", c.SessionToken.Reveal())
	}
	if c.CanExpire() {
		add("Expiration", c.Expires.UTC().Format(time.RFC3339))
	}
	if c.AccountID != "" {
		add("AccountId", c.AccountID)
	}
	_, err := p.stdout.Write(append(text, "}\n"...))
	return err
}
