package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
)

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Show all slots",
		Example: `  rolecall list
  rolecall list --json | jq -r '.[].name'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			slots, err := a.slots(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				if slots == nil {
					slots = []control.Slot{}
				}
				return writeJSON(a.stdout, slots)
			}
			if len(slots) == 0 {
				_, err := fmt.Fprintln(a.stdout, "no slot is loaded")
				return err
			}
			for _, l := range slotTable(slots, time.Now(), a.colours()) {
				fmt.Fprintln(a.stdout, l)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the slots as JSON")
	a.serverFlags(c)
	return c
}

// slots are those of this user's daemon, or of --server.
func (a *app) slots(ctx context.Context) ([]control.Slot, error) {
	if a.server == "" {
		st, err := a.status(ctx)
		return st.Slots, err
	}
	r, err := a.remote()
	if err != nil {
		return nil, err
	}
	named, err := r.Profiles(ctx)
	if err != nil {
		return nil, err
	}
	var slots []control.Slot
	now := time.Now()
	if p, err := r.Profile(ctx); err == nil && (p.ProfileName != "" || p.Expiration != 0) {
		slots = append(slots, remoteSlot("", p, now))
	}
	for _, p := range named {
		slots = append(slots, remoteSlot(p.ProfileName, p, now))
	}
	return slots, nil
}

// remoteSlot is what the REST API tells, in the words of the control socket.
func remoteSlot(name string, p control.RemoteProfile, now time.Time) control.Slot {
	s := control.Slot{Name: name, Profile: p.ProfileName, Source: p.ProfileName, AccountID: p.AccountID, RoleName: p.RoleName, State: "expired"}
	if p.Expiration > 0 {
		end := time.Unix(p.Expiration, 0).UTC()
		s.Expires, s.Remaining = &end, max(0, end.Sub(now).Seconds())
		if end.After(now) {
			s.State = "valid"
		}
	}
	return s
}
