package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
)

func (a *app) refreshCommand() *cobra.Command {
	var slot string
	var asJSON bool
	c := &cobra.Command{
		Use:   "refresh",
		Short: "Ask a slot's source for new credentials now",
		Long: `Ask the source of a slot now, whatever the schedule says. What the slot holds stays
if the source fails. There is no need to call this: slots refresh themselves.`,
		Example: `  rolecall refresh
  rolecall refresh --slot prod`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSlot(c, slot); err != nil {
				return err
			}
			d, err := a.ownDaemon("refresh")
			if err != nil {
				return err
			}
			s, err := d.Refresh(c.Context(), control.RefreshRequest{Slot: slot})
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, s)
			}
			_, err = fmt.Fprintln(a.stdout, visible(loadedLine(s, time.Now())))
			return err
		},
	}
	a.slotFlag(c, &slot, "ask for the slot `NAME` and not the default one")
	c.Flags().BoolVar(&asJSON, "json", false, "print the slot as JSON")
	return c
}
