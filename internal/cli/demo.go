package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rolecall/internal/demo"
)

type demoOptions struct {
	once    bool
	clients int
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it against a built-in fake AWS; no account needed",
		Long: `Start a fake AWS and a daemon on free ports of this machine, let a few hundred clients
ask, and check what is promised: one call to AWS for each slot, a refresh ahead of the
end, and an outage of AWS that no client notices. It takes about 25 seconds, uses a
temporary directory that is removed at the end, and exits with 1 when a promise was broken.

Then it stays up and prints what to type in another terminal, until Ctrl-C.`,
		Example: `  rolecall demo
  rolecall demo --once --clients 1000`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.clients < 1 || o.clients > demo.MaxClients {
				return wrongUsage(fmt.Sprintf("--clients is a number from 1 to %d", demo.MaxClients),
					fmt.Sprintf("rolecall demo --clients %d", demo.DefaultClients))
			}
			return a.demo(c.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.once, "once", false, "exit when all has been shown")
	c.Flags().IntVar(&o.clients, "clients", demo.DefaultClients, "let `N` clients ask at once")
	return c
}

func (a *app) demo(ctx context.Context, o demoOptions) error {
	c := demo.Config{Out: a.stdout, Clients: o.clients, Version: a.version.Version}
	if !o.once {
		c.Invite = a.demoInvitation
	}
	err := demo.Run(ctx, c)
	var broken *demo.BrokenError
	if errors.As(err, &broken) { // also when Ctrl-C came just after
		return failed(broken.Error(), broken.Hint())
	}
	return err
}

// demoInvitation says what to type in another terminal.
func (a *app) demoInvitation(p demo.Place) error {
	fmt.Fprintln(a.stdout, "\nThe demo stays up. In another terminal:")
	set, unset := handout{URL: p.URL + pathOf("", ""), TokenFile: p.TokenFile, Region: p.Env["AWS_REGION"]}.variables()
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "ROLECALL_DIR"} {
		set = append(set, variable{name, p.Env[name]})
	}
	fmt.Fprintln(a.stdout)
	if err := writeVariables(a.stdout, "sh", set, unset); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, `
aws sts get-caller-identity          # an aws CLI before 1.29 or 2.13 needs --endpoint-url "$AWS_ENDPOINT_URL_STS"
rolecall status
rolecall load chained --slotted && rolecall exec --slot chained -- aws sts get-caller-identity

The daemon's log is in %s. Ctrl-C ends the demo.
`, p.Log)
	return err
}
