package cli

import (
	"net"

	"github.com/spf13/cobra"
)

// ecsCommand takes the command lines of `aws-sso ecs`, for the habit's sake.
// --server is that of the other commands, and may be HOST:PORT.
func (a *app) ecsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:    "ecs",
		Hidden: true,
		Short:  "The commands of `aws-sso ecs`: run, load, profile, list, unload",
		Example: `  rolecall ecs run                   # rolecall serve
  rolecall ecs load -p dev           # rolecall load dev
  rolecall ecs load -p prod -s       # rolecall load prod --slotted
  rolecall ecs unload -p prod        # rolecall unload --slot prod`,
	}, a.ecsRunCommand(), a.ecsLoadCommand(), a.profileCommand(), a.listCommand(), a.ecsUnloadCommand())
}

func (a *app) ecsRunCommand() *cobra.Command {
	var bind string
	var noAuth, noTLS bool
	c := a.serveCommand()
	c.Use, c.Aliases, c.Example = "run", []string{"server"}, "  rolecall ecs run --port 4144"
	c.Flags().StringVar(&bind, "bind-ip", "127.0.0.1", "listen at this `IP`")
	c.Flags().BoolVar(&noAuth, "disable-auth", false, "short for --auth none")
	c.Flags().BoolVar(&noTLS, "disable-ssl", false, "nothing: TLS is off unless --tls-cert is given")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if c.Flags().Changed("bind-ip") {
			port := c.Flags().Lookup("port").Value.String()
			if !c.Flags().Changed("port") {
				port = "4144"
			}
			if err := c.Flags().Set("listen", net.JoinHostPort(bind, port)); err != nil {
				return err
			}
			c.Flags().Lookup("port").Changed = false // --listen says it all
		}
		if noAuth {
			if err := c.Flags().Set("auth", "none"); err != nil {
				return err
			}
		}
		return run(c, args)
	}
	return c
}

func (a *app) ecsLoadCommand() *cobra.Command {
	var o loadOptions
	c := &cobra.Command{
		Use:     "load",
		Short:   "rolecall load",
		Example: "  rolecall ecs load --profile dev --slotted",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("profile") {
				if o.source == "" {
					return wrongUsage("--profile is empty", "rolecall ecs load --profile NAME")
				}
				o.source = "profile:" + o.source
			}
			if err := o.check(c); err != nil {
				return err
			}
			return a.load(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.source, "profile", "p", "", "load the profile `NAME`")
	a.complete(c, "profile", a.completeProfiles)
	f.BoolVarP(&o.slotted, "slotted", "s", false, "into the slot that is named after the profile")
	f.StringVarP(&o.account, "account", "A", "", "with --role: the account's `ID`")
	f.StringVarP(&o.role, "role", "R", "", "with --account: the role's `NAME`")
	f.StringVarP(&o.arn, "arn", "a", "", "load the role of this `ARN`")
	a.serverFlags(c)
	return c
}

func (a *app) ecsUnloadCommand() *cobra.Command {
	var o unloadOptions
	c := &cobra.Command{
		Use:     "unload",
		Short:   "rolecall unload",
		Example: "  rolecall ecs unload --profile prod",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.unload(c.Context(), o)
		},
	}
	c.Flags().StringVarP(&o.slot, "profile", "p", "", "empty the slot `NAME` and not the default one")
	a.complete(c, "profile", a.completeSlots)
	a.serverFlags(c)
	return c
}
