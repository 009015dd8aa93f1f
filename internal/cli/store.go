package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/store"
)

func (a *app) storeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "store",
		Short: "See and manage the credentials that are kept for restarts and other processes",
		Long: `See and manage the sealed files in which credentials are kept, so that a restart of the
daemon needs nobody, and so that all processes share them. Where the configuration names
a Redis or Valkey server, its entries of the same key are shown and removed too. No
secret is ever shown.`,
		Example: `  rolecall store list
  rolecall store clear profile:dev`,
	}, a.storeListCommand(), a.storeClearCommand(), a.storePathCommand(), a.storeKeyCommand())
}

// keyOf is the key of this user's store; fs.ErrNotExist where nothing has been
// kept so far.
func (a *app) keyOf(d config.Dirs) (store.Key, error) {
	return store.OpenKey(store.KeyConfig{Dir: d.Store, Getenv: a.getenv, Keychain: store.SystemKeychain(a.getenv)})
}

// storeAt opens the store of the directories d with the key as k says.
func (a *app) storeAt(d config.Dirs, k store.KeyConfig, fleet store.RedisConfig) (*store.Shared, error) {
	k.Dir, k.Getenv, k.Keychain = d.Store, a.getenv, store.SystemKeychain(a.getenv)
	return store.Open(store.SharedConfig{Key: k, Fleet: fleet})
}

// fleetOf is the server that the settings name, if any.
func fleetOf(c config.Config) store.RedisConfig {
	if !c.Store.Remote() {
		return store.RedisConfig{}
	}
	return store.RedisConfig{URL: string(c.Store), PasswordFile: c.StorePasswordFile, SentinelPasswordFile: c.StoreSentinelPasswordFile, CAFile: c.StoreCAFile}
}

// openStore is nil where nothing has been kept so far. It may come with an error
// that says why the server cannot be used.
func (a *app) openStore() (*store.Shared, error) {
	d, err := a.dirs()
	if err != nil {
		return nil, err
	}
	settings, err := a.readConfig(d, "")
	if err != nil {
		return nil, err
	}
	s, err := a.storeAt(d, store.KeyConfig{}, fleetOf(settings))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s, s.FleetErr
}

// storeEntry is what --json prints of an entry: names and meanings stay.
type storeEntry struct {
	Entry       string     `json:"entry"`
	Source      string     `json:"source,omitempty"`
	AccountID   string     `json:"account_id,omitempty"`
	RoleName    string     `json:"role_name,omitempty"`
	AccessKeyID string     `json:"access_key_id,omitempty"` // its last four characters
	Expires     *time.Time `json:"expires,omitempty"`
	Stored      *time.Time `json:"stored,omitempty"` // of files
	Where       string     `json:"where,omitempty"`  // file, redis
	Problem     string     `json:"problem,omitempty"`
}

func (a *app) storeListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List what is kept, without the secrets",
		Example: "  rolecall store list --json | jq '.[].source'",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := a.openStore()
			entries, shared := []storeEntry{}, false
			if f != nil {
				defer f.Close()
				all, e := f.List(c.Context())
				for _, e := range all {
					entries = append(entries, entryOf(e))
				}
				shared, err = f.Fleet != nil, errors.Join(err, e)
			}
			if err != nil && len(entries) == 0 {
				return err
			}
			if asJSON {
				return errors.Join(writeJSON(a.stdout, entries), err)
			}
			return errors.Join(a.printEntries(entries, shared, time.Now()), err)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

func entryOf(e store.Entry) storeEntry {
	s := storeEntry{Entry: e.Name, Source: e.Source, AccountID: e.AccountID, RoleName: e.RoleName, AccessKeyID: e.AccessKeyID, Where: e.Where, Problem: e.Problem}
	if !e.Stored.IsZero() {
		at := e.Stored.UTC().Truncate(time.Second)
		s.Stored = &at
	}
	if !e.Expires.IsZero() {
		at := e.Expires.UTC()
		s.Expires = &at
	}
	return s
}

func (a *app) printEntries(entries []storeEntry, shared bool, now time.Time) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing is kept")
		return err
	}
	var t table
	head := []string{"SOURCE", "ACCOUNT", "ROLE", "KEY", "REMAINING", "STORED"}
	if shared {
		head = append(head, "WHERE")
	}
	t.row(head...)
	for _, e := range entries {
		left, stored := orDash(e.Problem), orDash("")
		if e.Problem == "" && e.Expires != nil {
			left = span(e.Expires.Sub(now))
		}
		if e.Stored != nil {
			stored = span(now.Sub(*e.Stored)) + " ago"
		}
		line := []string{orDash(visible(e.Source)), orDash(visible(e.AccountID)), orDash(visible(e.RoleName)), orDash(visible(e.AccessKeyID)), visible(left), stored}
		if shared {
			line = append(line, e.Where)
		}
		t.row(line...)
	}
	for _, l := range t.lines() {
		if _, err := fmt.Fprintln(a.stdout, l); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) storeClearCommand() *cobra.Command {
	var key bool
	c := &cobra.Command{
		Use:   "clear [SOURCE]",
		Short: "Remove what is kept, of one source or all of it",
		Long: `Remove what is kept: the entries of one SOURCE as "rolecall store list" shows it, or all.
What machines share on a Redis or Valkey server is removed for all of them. A running
daemon goes on with what it holds in memory. --key also forgets the key, after which a
new one is made.`,
		Example: `  rolecall store clear profile:dev
  rolecall store clear --key`,
		Args: oneSource,
		RunE: func(c *cobra.Command, args []string) error {
			if key && len(args) > 0 {
				return wrongUsage("--key is for the whole store, and not for one source", "rolecall store clear --key")
			}
			n, err := a.clearStore(c.Context(), args, key)
			if err != nil && n == 0 {
				return err
			}
			_, e := fmt.Fprintf(a.stdout, "removed: %d\n", n)
			return errors.Join(err, e)
		},
		ValidArgsFunction: a.completeSources,
	}
	c.Flags().BoolVar(&key, "key", false, "forget the key too")
	return c
}

func (a *app) clearStore(ctx context.Context, args []string, key bool) (int, error) {
	d, err := a.dirs()
	if err != nil {
		return 0, err
	}
	s, openErr := a.openStore()
	if s != nil {
		defer s.Close()
	}
	if len(args) > 0 {
		if s == nil {
			return 0, openErr
		}
		n, err := s.Clear(ctx, args[0])
		if n == 0 { // a profile's bare name
			n, err = s.Clear(ctx, "profile:"+args[0])
		}
		return n, errors.Join(err, openErr)
	}
	n, err := store.Wipe(d.Store) // needs no key, which may be what is lost
	if s != nil && s.Fleet != nil {
		shared, e := s.Fleet.Clear(ctx, "")
		n, err = n+shared, errors.Join(err, e)
	}
	if key {
		err = errors.Join(err, store.DropKey(d.Store))
	}
	if _, e := a.readConfig(d, ""); e != nil { // it may name a server
		err = errors.Join(err, e)
	} else if fault := (*store.SettingError)(nil); errors.As(openErr, &fault) {
		err = errors.Join(err, openErr)
	}
	return n, err
}

func (a *app) storePathCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "path",
		Short: "Print the directory of the store",
		Long: `Print the directory of the store. With --json also the URL of the server that machines
share, where the configuration names one.`,
		Example: `  ls -l "$(rolecall store path)"
  rolecall store path --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			d, err := a.dirs()
			if err != nil {
				return err
			}
			if !asJSON {
				_, err = fmt.Fprintln(a.stdout, d.Store)
				return err
			}
			settings, err := a.readConfig(d, "")
			if err != nil {
				return err
			}
			return writeJSON(a.stdout, struct {
				Dir string `json:"dir"`
				URL string `json:"url,omitempty"`
			}{d.Store, store.Redacted(fleetOf(settings).URL)})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

func (a *app) storeKeyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "key",
		Short:   "Say where the key of the store is kept, never the key",
		Example: "  rolecall store key --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			d, err := a.dirs()
			if err != nil {
				return err
			}
			key, err := a.keyOf(d)
			if errors.Is(err, fs.ErrNotExist) {
				return failed("the store has no key yet: it is made when the first credentials are kept", hintServe)
			}
			if err != nil {
				return err
			}
			s, err := store.NewSealer(key.Bytes)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, map[string]string{"kind": string(key.Kind), "path": key.Path, "id": s.KeyID(), "weakness": key.Weakness()})
			}
			var t table
			t.row("kept in", string(key.Kind))
			t.row("path", key.Path)
			t.row("id", s.KeyID())
			if w := key.Weakness(); w != "" {
				t.row("note", w)
			}
			for _, l := range t.lines() {
				if _, err := fmt.Fprintln(a.stdout, l); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}
