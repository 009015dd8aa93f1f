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
	c := &cobra.Command{
		Use:   "store",
		Short: "See and manage the credentials that are kept for restarts and other processes",
		Long: `See and manage the sealed files in which credentials are kept, so that a restart of the
daemon needs nobody, and so that all processes share them. No secret is ever shown.`,
		Example: `  rolecall store list
  rolecall store clear profile:dev`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(a.storeListCommand(), a.storeClearCommand(), a.storePathCommand(), a.storeKeyCommand())
	return c
}

// keyOf is the key of this user's store; fs.ErrNotExist where nothing has been
// kept so far.
func (a *app) keyOf(d config.Dirs) (store.Key, error) {
	return store.OpenKey(store.KeyConfig{Dir: d.Store, Getenv: a.getenv, Keychain: store.SystemKeychain(a.getenv)})
}

// openStore is nil where nothing has been kept so far.
func (a *app) openStore() (*store.File, error) {
	d, err := a.dirs()
	if err != nil {
		return nil, err
	}
	key, err := a.keyOf(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := store.NewSealer(key.Bytes)
	if err != nil {
		return nil, err
	}
	return store.NewFile(store.FileConfig{Dir: d.Store, Sealer: s})
}

// storeEntry is what --json prints of an entry: names and meanings stay.
type storeEntry struct {
	Entry       string     `json:"entry"`
	Source      string     `json:"source,omitempty"`
	AccountID   string     `json:"account_id,omitempty"`
	RoleName    string     `json:"role_name,omitempty"`
	AccessKeyID string     `json:"access_key_id,omitempty"` // its last four characters
	Expires     *time.Time `json:"expires,omitempty"`
	Stored      time.Time  `json:"stored"`
	Problem     string     `json:"problem,omitempty"`
}

func (a *app) storeListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List what is kept, without the secrets",
		Example: "  rolecall store list --json | jq '.[].source'",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := a.openStore()
			if err != nil {
				return err
			}
			entries := []storeEntry{}
			if f != nil {
				all, err := f.List()
				if err != nil {
					return err
				}
				for _, e := range all {
					s := storeEntry{Entry: e.Name, Source: e.Source, AccountID: e.AccountID, RoleName: e.RoleName, AccessKeyID: e.AccessKeyID, Stored: e.Stored.UTC().Truncate(time.Second), Problem: e.Problem}
					if !e.Expires.IsZero() {
						at := e.Expires.UTC()
						s.Expires = &at
					}
					entries = append(entries, s)
				}
			}
			if asJSON {
				return writeJSON(a.stdout, entries)
			}
			return a.printEntries(entries, time.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

func (a *app) printEntries(entries []storeEntry, now time.Time) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing is kept")
		return err
	}
	var t table
	t.row("SOURCE", "ACCOUNT", "ROLE", "KEY", "REMAINING", "STORED")
	for _, e := range entries {
		left := orDash(e.Problem)
		if e.Problem == "" && e.Expires != nil {
			left = span(e.Expires.Sub(now))
		}
		t.row(orDash(visible(e.Source)), orDash(visible(e.AccountID)), orDash(visible(e.RoleName)), orDash(visible(e.AccessKeyID)), visible(left), span(now.Sub(e.Stored))+" ago")
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
A running daemon goes on with what it holds in memory. --key also forgets the key, after
which a new one is made.`,
		Example: `  rolecall store clear profile:dev
  rolecall store clear --key`,
		Args: oneSource,
		RunE: func(c *cobra.Command, args []string) error {
			if key && len(args) > 0 {
				return wrongUsage("--key is for the whole store, and not for one source", "rolecall store clear --key")
			}
			n, err := a.clearStore(c.Context(), args, key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "removed: %d\n", n)
			return err
		},
		ValidArgsFunction: a.completeSources,
	}
	c.Flags().BoolVar(&key, "key", false, "forget the key too")
	return c
}

func (a *app) clearStore(_ context.Context, args []string, key bool) (int, error) {
	d, err := a.dirs()
	if err != nil {
		return 0, err
	}
	if len(args) == 0 { // needs no key, which may be what is lost
		n, err := store.Wipe(d.Store)
		if err == nil && key {
			err = store.DropKey(d.Store)
		}
		return n, err
	}
	f, err := a.openStore()
	if f == nil || err != nil {
		return 0, err
	}
	n, err := f.Clear(args[0])
	if n == 0 && err == nil { // a profile's bare name
		n, err = f.Clear("profile:" + args[0])
	}
	return n, err
}

func (a *app) storePathCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "path",
		Short:   "Print the directory of the store",
		Example: `  ls -l "$(rolecall store path)"`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			d, err := a.dirs()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, d.Store)
			return err
		},
	}
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
