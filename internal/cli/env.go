package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/shellword"
)

type envOptions struct {
	slot    string
	source  string
	format  string
	token   bool
	noFiles bool
	imds    bool
}

func (a *app) envCommand() *cobra.Command {
	o := envOptions{format: defaultFormat()}
	c := &cobra.Command{
		Use:   "env",
		Short: "Print variables that point programs at the daemon",
		Long: `Print what a shell or a tool sets so that programs take their credentials from the
daemon: its URL, the file with the authorization token, the region. Variables that
SDKs would look at first are unset: keys, AWS_PROFILE, web identity, the endpoint of a
real container.

One thing no variable can hide: every SDK and the aws CLI look at the profile [default]
of ~/.aws/config and ~/.aws/credentials before the endpoint. Where that profile gives
credentials, they win; rolecall warns of it, and --no-aws-files hides both files.

Of token and token file only one is set, as Java looks at them in another order than
the rest. Old SDKs (boto3 before 1.34, the aws CLI of Debian 12) know no token file:
--token prints the token itself, which others may then see in the environment.

--imds points programs at the metadata service in place of the container endpoint, where
the daemon serves it (rolecall serve --imds): for those that know no other.`,
		Example: `  eval "$(rolecall env)"
  rolecall env --slot prod --format fish | source
  eval "$(rolecall env --imds)"
  rolecall env --format powershell | Out-String | Invoke-Expression
  rolecall env --format dotenv > .env
  rolecall env --token --format docker > docker.env && docker run --network host --env-file docker.env IMAGE`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(exclusive(c, "slot", "source"), exclusive(c, "imds", "slot"), exclusive(c, "imds", "source"), exclusive(c, "imds", "server")); err != nil {
				return err
			}
			if err := checkSlot(c, o.slot); err != nil {
				return err
			}
			if o.source != "" || c.Flags().Changed("source") {
				if err := checkSource(o.source); err != nil {
					return err
				}
			}
			if !slices.Contains(formats, o.format) {
				return wrongUsage("there is no format "+quoted(o.format), "rolecall env --format "+strings.Join(formats, "|"))
			}
			return a.env(c.Context(), o)
		},
	}
	a.slotFlag(c, &o.slot, "point at the slot `NAME` and not the default one")
	c.Flags().StringVar(&o.source, "source", "", "point at this `SOURCE`, which the daemon resolves on first use")
	a.complete(c, "source", a.completeSources)
	c.Flags().StringVar(&o.format, "format", o.format, "one of "+strings.Join(formats, ", "))
	a.complete(c, "format", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formats, cobra.ShellCompDirectiveNoFileComp
	})
	c.Flags().BoolVar(&o.token, "token", false, "print the authorization token itself and not its file")
	c.Flags().BoolVar(&o.imds, "imds", false, "point at the metadata service, which has the default slot only")
	c.Flags().BoolVar(&o.noFiles, "no-aws-files", false, "hide ~/.aws/config and ~/.aws/credentials from the programs")
	a.serverFlags(c)
	return c
}

func (a *app) env(ctx context.Context, o envOptions) error {
	h, err := a.reach(ctx, o.slot, o.source)
	if err != nil {
		return err
	}
	h.NoFiles = o.noFiles
	if o.imds {
		if h.IMDS, err = a.metadataURL(ctx); err != nil {
			return err
		}
	}
	if o.token {
		if h.Token, err = readToken(h.TokenFile); err != nil {
			return err
		}
	}
	set, unset := h.variables()
	if err := writeVariables(a.stdout, o.format, set, unset); err != nil {
		return err
	}
	if o.format == "docker" && h.TokenFile != "" && !o.token && !o.imds {
		a.warn("the container must see the authorization token's file",
			"docker run --network host -v "+shellword.Word(h.TokenFile)+":"+shellword.Word(h.TokenFile)+":ro --env-file FILE IMAGE; or use --token")
	}
	a.warnOfDefault(h)
	return nil
}

// metadataURL is where this user's daemon serves instance metadata to programs
// of this machine. It ends in a slash: the aws CLI of Debian 12 puts a path behind
// it as it is, and all others take it.
func (a *app) metadataURL(ctx context.Context) (string, error) {
	st, err := a.status(ctx)
	if err != nil {
		return "", err
	}
	for _, l := range st.Listeners {
		if l.Endpoint == "imds" {
			return strings.Replace(l.URL, "//0.0.0.0:", "//127.0.0.1:", 1), nil
		}
	}
	return "", failed("the daemon serves no instance metadata", "rolecall serve --imds "+config.DefaultIMDSListen)
}

// reach is how a program reaches a slot, or a source, of this user's daemon or
// of --server. A slot that is empty may be loaded later, so it is only told.
func (a *app) reach(ctx context.Context, slot, source string) (handout, error) {
	if a.server != "" {
		h, err := a.remoteHandout(slot, source)
		if err == nil && !takenByAll(h.URL) {
			a.warn("SDKs take plain HTTP only from 127.0.0.1 and a few addresses of AWS's own, and not from "+a.server,
				"use https, or run a daemon on the machine of the program")
		}
		return h, err
	}
	st, err := a.status(ctx)
	if err != nil {
		return handout{}, err
	}
	if source == "" && findSlot(st.Slots, slot) == nil {
		a.warn(slotWords(slot)+" is empty", loadHint(slot))
	}
	h, err := a.handoutOf(st, slot, source)
	if err == nil && !takenByAll(h.URL) {
		a.warn("SDKs do not take plain HTTP from "+h.URL, "let the daemon listen on 127.0.0.1 too, or give it --tls-cert and --tls-key")
	}
	return h, err
}
