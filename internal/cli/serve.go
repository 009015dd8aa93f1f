package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/daemon"
	"rolecall/internal/usererr"
)

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon, in the foreground",
		Long: `Run the daemon in the foreground. It keeps the credentials of its slots fresh and hands
them to programs over HTTP. When it is ready its first line on stdout is
"rolecall: serving on http://127.0.0.1:4144/"; its log goes to stderr. Ctrl-C and SIGTERM
end it with exit code 0, SIGHUP makes it read its configuration file anew.

Flags go before the environment (ROLECALL_LISTEN, several addresses with commas;
ROLECALL_CONFIG, the configuration file; ROLECALL_DIR, the directory of all files), and
that before the configuration file. A source named by a flag must exist at the start.

--imds serves the default slot's role as the metadata service of EC2 does, for programs
that know no other way: point them at it with AWS_EC2_METADATA_SERVICE_ENDPOINT, see
"rolecall env --imds". No authorization token can be shown there, so that programs of
your user alone are let in, and version 1, without a token of its own, only with
--imds-v1. --link-local is for programs that cannot be pointed anywhere: it puts AWS's
own addresses on the loopback interface and takes them away at the end.`,
		Example: `  rolecall serve --load dev
  rolecall serve --load dev --slot prod=profile:prod --slot ci=imds
  rolecall serve --listen 127.0.0.1:4144 --listen 172.17.0.1:4144 --auth token
  rolecall serve --port 9911 --metrics
  rolecall serve --load dev --imds 127.0.0.1:1338
  sudo rolecall serve --load dev --link-local`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.changed = c.Flags().Changed
			if err := f.check(); err != nil {
				return err
			}
			return a.serve(c.Context(), f)
		},
	}
	f.add(a, c)
	return c
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	dirs, err := a.dirs()
	if err != nil {
		return err
	}
	first, err := a.settings(dirs, f)
	if err != nil {
		return err
	}
	reload, done := hangups()
	defer done()
	return daemon.Run(ctx, daemon.Config{
		Settings: func() (config.Config, error) {
			s, err := a.settings(dirs, f)
			if err != nil { // at a reload it goes over the control socket
				e := asFailure(ctx, err)
				err = &usererr.Error{Code: usererr.NotConfigured, Msg: e.msg, Hint: e.hint, Err: err}
			}
			return s, err
		},
		ConfigFile: first.Path,
		Strict:     f.strict(),
		Dirs:       dirs,
		Getenv:     a.getenv,
		Environ:    a.environ,
		Home:       a.home(),
		Stderr:     a.stderr,
		Terminal:   terminal(a.stderr),
		Reload:     reload,
		Version:    a.version.Version,
		Harden:     true,
		Ready: func(r daemon.Ready) {
			for _, u := range r.URLs {
				fmt.Fprintln(a.stdout, "rolecall: serving on "+u)
			}
			if len(r.URLs) == 0 {
				fmt.Fprintln(a.stdout, "rolecall: serving on the control socket only")
			}
			for _, u := range r.MetadataURLs {
				fmt.Fprintln(a.stdout, "rolecall: instance metadata on "+u)
			}
		},
	})
}
