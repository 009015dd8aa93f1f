package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
)

type unloadOptions struct {
	slot string
	all  bool
	json bool
}

func (a *app) unloadCommand() *cobra.Command {
	var o unloadOptions
	c := &cobra.Command{
		Use:   "unload",
		Short: "Empty the default slot, a named one, or all",
		Long: `Empty a slot: programs that ask for it get no credentials from then on. What they
already hold stays good until it expires. What this machine keeps of it in the store is
removed too, unless another slot is of the same source.`,
		Example: `  rolecall unload
  rolecall unload --slot prod
  rolecall unload --all`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := exclusive(c, "slot", "all"); err != nil {
				return err
			}
			if err := checkSlot(c, o.slot); err != nil {
				return err
			}
			return a.unload(c.Context(), o)
		},
	}
	a.slotFlag(c, &o.slot, "empty the slot `NAME` and not the default one")
	c.Flags().BoolVar(&o.all, "all", false, "empty all slots, the default one too")
	c.Flags().BoolVar(&o.json, "json", false, "print the names of the slots as JSON")
	a.serverFlags(c)
	return c
}

func (a *app) unload(ctx context.Context, o unloadOptions) error {
	names, err := a.unloadNames(ctx, o)
	if err != nil {
		return err
	}
	if o.json {
		if names == nil {
			names = []string{}
		}
		return writeJSON(a.stdout, names)
	}
	if len(names) == 0 {
		fmt.Fprintln(a.stdout, "all slots were empty")
	}
	for _, n := range names {
		fmt.Fprintln(a.stdout, visible(slotWords(n))+" is empty")
	}
	return nil
}

func (a *app) unloadNames(ctx context.Context, o unloadOptions) ([]string, error) {
	if a.server != "" {
		return a.unloadRemote(ctx, o)
	}
	d, err := a.daemon()
	if err != nil {
		return nil, err
	}
	return d.Unload(ctx, control.UnloadRequest{Slot: o.slot, All: o.all})
}

func (a *app) unloadRemote(ctx context.Context, o unloadOptions) ([]string, error) {
	r, err := a.remote()
	if err != nil {
		return nil, err
	}
	if !o.all {
		return []string{o.slot}, r.Unload(ctx, o.slot)
	}
	held, err := r.Profiles(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	if p, err := r.Profile(ctx); err == nil && p.ProfileName != "" {
		names = append(names, "")
		if err := r.Unload(ctx, ""); err != nil {
			return nil, err
		}
	}
	for _, p := range held {
		names = append(names, p.ProfileName)
	}
	return names, r.UnloadNamed(ctx)
}
