package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) reloadCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its configuration anew",
		Long: `Make the daemon read its configuration file anew, as SIGHUP does. A file with faults
leaves the configuration in force that is.`,
		Example: `  rolecall config check && rolecall reload`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := a.ownDaemon("reload")
			if err != nil {
				return err
			}
			r, err := d.Reload(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				if r.Changes == nil {
					r.Changes = []string{}
				}
				return writeJSON(a.stdout, r)
			}
			if len(r.Changes) == 0 {
				fmt.Fprintln(a.stdout, "nothing has changed")
			}
			for _, change := range r.Changes {
				fmt.Fprintln(a.stdout, visible(change))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}
