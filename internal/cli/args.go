package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
)

// noArgs is for commands that take flags only.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUsage("unexpected argument "+quoted(args[0]), c.CommandPath()+" --help")
	}
	return nil
}

// oneProfile is for commands that take a profile or none.
func oneProfile(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return wrongUsage(fmt.Sprintf("one PROFILE is expected, and not %d", len(args)), c.CommandPath()+" --help")
	}
	return nil
}

// oneSource is for commands that take a source or none.
func oneSource(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return wrongUsage(fmt.Sprintf("one SOURCE is expected, and not %d", len(args)), c.CommandPath()+" --help")
	}
	if len(args) == 1 {
		return checkSource(args[0])
	}
	return nil
}

func checkSource(source string) error {
	if err := config.CheckSource(source); err != nil {
		return wrongUsage(err.Error(), "rolecall load PROFILE")
	}
	return nil
}

// slotFlag adds --slot, with completion. What it says is checked by checkSlot.
func (a *app) slotFlag(c *cobra.Command, name *string, usage string) {
	c.Flags().StringVar(name, "slot", "", usage)
	a.complete(c, "slot", a.completeSlots)
}

// checkSlot refuses names that no slot can have. A --slot that is given but
// empty is a script's variable that is not set, and not the default slot.
func checkSlot(c *cobra.Command, name string) error {
	if name == "" && !c.Flags().Changed("slot") {
		return nil
	}
	if err := config.CheckSlotName(name); err != nil {
		return wrongUsage("--slot: "+err.Error(), "leave --slot out for the default slot")
	}
	return nil
}

// exclusive refuses two flags (or a flag and the argument) that contradict.
func exclusive(c *cobra.Command, flags ...string) error {
	given := ""
	for _, f := range flags {
		if !c.Flags().Changed(f) {
			continue
		}
		if given != "" {
			return wrongUsage(fmt.Sprintf("--%s and --%s cannot be used together", given, f), c.CommandPath()+" --help")
		}
		given = f
	}
	return nil
}

func quoted(s string) string { return strconv.Quote(s) }

// slotWords names a slot in a sentence.
func slotWords(name string) string {
	if name == "" {
		return "the default slot"
	}
	return "slot " + quoted(name)
}
