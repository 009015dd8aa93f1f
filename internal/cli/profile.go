package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
	"rolecall/internal/shellword"
)

func (a *app) profileCommand() *cobra.Command {
	var slot string
	var asJSON bool
	c := &cobra.Command{
		Use:   "profile",
		Short: "Show what the default slot holds",
		Example: `  rolecall profile
  rolecall profile --slot prod --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSlot(c, slot); err != nil {
				return err
			}
			s, err := a.oneSlot(c.Context(), slot)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, s)
			}
			return a.writeProfile(s, time.Now())
		},
	}
	a.slotFlag(c, &slot, "show the slot `NAME` and not the default one")
	c.Flags().BoolVar(&asJSON, "json", false, "print the slot as JSON")
	a.serverFlags(c)
	return c
}

// oneSlot is a slot that is there.
func (a *app) oneSlot(ctx context.Context, name string) (control.Slot, error) {
	slots, err := a.slots(ctx)
	if err != nil {
		return control.Slot{}, err
	}
	s := findSlot(slots, name)
	if s == nil || s.State == "empty" && s.Source == "" {
		return control.Slot{}, failed(slotWords(name)+" is empty", loadHint(name))
	}
	return *s, nil
}

func loadHint(slot string) string {
	if slot == "" {
		return "rolecall load PROFILE"
	}
	return "rolecall load PROFILE --slot " + shellword.Word(slot)
}

// writeProfile shows one slot, a line for each thing that is known of it.
func (a *app) writeProfile(s control.Slot, now time.Time) error {
	var t table
	line := func(name, value string) {
		if value != "" {
			t.row(name, visible(value))
		}
	}
	line("slot", slotName(s.Name))
	line("state", s.State)
	line("source", s.Source)
	line("account", s.AccountID)
	line("role", s.RoleName)
	line("role arn", s.RoleARN)
	line("region", s.Region)
	line("key", s.KeyID)
	switch {
	case s.Static:
		line("expires", "never")
	case s.Expires != nil:
		line("expires", s.Expires.Local().Format("2006-01-02 15:04:05 MST")+", in "+span(s.Expires.Sub(now)))
	}
	if s.Error != nil {
		line("error", string(s.Error.Code)+": "+s.Error.Message)
		line("hint", s.Error.Hint)
	}
	for _, l := range t.lines() {
		fmt.Fprintln(a.stdout, l)
	}
	return nil
}

// slotName is a slot's name in a column.
func slotName(name string) string {
	if name == "" {
		return "(default)"
	}
	return name
}
