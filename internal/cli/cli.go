// Package cli is everything that the user sees: flags, terminal, text and exit
// codes. Each command has a file of its own with its options and its run; what
// they have in common is here. It knows no wire format, no AWS SDK and no lock.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rolecall/internal/config"
)

// Surroundings is what the program was started with.
type Surroundings struct {
	Args           []string // without the program's own name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string
	Version        string // "": that of the build, as far as it knows
}

// System is the surroundings of this process.
func System(version string) Surroundings {
	return Surroundings{os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv, os.Environ, version}
}

// app is what all commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	environ        func() []string
	version        build

	server    string // --server: the URL of a daemon elsewhere; "": the control socket
	tokenFile string // --token-file, for server
}

// Main runs the command that s.Args name and returns the exit code.
func Main(s Surroundings) int {
	a := &app{stdin: s.Stdin, stdout: s.Stdout, stderr: s.Stderr, getenv: s.Getenv, environ: s.Environ}
	if a.processAtOnce(s.Args) {
		return exitFine
	}
	a.version = buildOf(s.Version)
	// The first signal ends the command in an orderly way; for the second the
	// system's default is in force again, which ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := a.root()
	root.SetArgs(s.Args)
	return exit(ctx, a.stderr, root.ExecuteContext(ctx))
}

// root is the whole command line.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rolecall",
		Short: "AWS credentials for every program on this machine, always fresh",
		Long: `rolecall takes AWS credentials from any source, keeps them fresh, and hands them
to any program through the container credentials endpoint that every AWS SDK knows.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 no daemon is running, 4 a login is
needed. Errors go to stderr, with the next command to type as a hint.`,
		Example: `  rolecall serve --load dev          # the daemon, with the profile dev in its default slot
  eval "$(rolecall env)"             # in another terminal: point its programs at the daemon
  aws sts get-caller-identity
  rolecall exec prod -- terraform plan
  rolecall status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return wrongUsage(flagMessage(err), c.CommandPath()+" --help")
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "The daemon:"},
		&cobra.Group{ID: groupSlots, Title: "Its slots:"},
		&cobra.Group{ID: groupSignIn, Title: "Signing in:"},
		&cobra.Group{ID: groupUse, Title: "Programs that use it:"},
		&cobra.Group{ID: groupRoles, Title: "Roles in AWS:"},
		&cobra.Group{ID: groupRest, Title: "Other:"},
	)
	root.SetHelpCommandGroupID(groupRest)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupServe, a.serveCommand(), a.statusCommand(), a.reloadCommand(), a.configCommand(), a.demoCommand())
	add(groupSlots, a.loadCommand(), a.unloadCommand(), a.profileCommand(), a.listCommand(), a.refreshCommand())
	add(groupSignIn, a.loginCommand(), a.logoutCommand(), a.rolesCommand(), a.profilesCommand())
	add(groupUse, a.envCommand(), a.execCommand(), a.processCommand())
	add(groupRoles, a.roleCommand())
	add(groupRest, a.doctorCommand(), a.storeCommand(), a.mockCommand(), a.versionCommand(), a.completionCommand())
	root.AddCommand(a.ecsCommand())
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Example = "  rolecall help load"
		help.RunE = func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(c, rest[0])
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		}
	}
	return root
}

const (
	groupServe  = "serve"
	groupSlots  = "slots"
	groupUse    = "use"
	groupSignIn = "sign-in"
	groupRoles  = "roles"
	groupRest   = "rest"
)

// group is a command that does nothing but hold others.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		return c.Help()
	}
	c.AddCommand(commands...)
	return c
}

// unknownCommand names what is nearest to the word.
func unknownCommand(c *cobra.Command, word string) error {
	c.SuggestionsMinimumDistance = 2
	hint := c.CommandPath() + " --help"
	if near := c.SuggestionsFor(word); len(near) > 0 {
		hint = c.CommandPath() + " " + near[0]
	}
	return wrongUsage("there is no command "+quoted(word), hint)
}

// flagMessage is pflag's error in our voice.
func flagMessage(err error) string {
	s := err.Error()
	if rest, ok := strings.CutPrefix(s, "unknown shorthand flag: "); ok {
		return "unknown flag: " + rest
	}
	return s
}

// dirs are where this user's rolecall keeps its things.
func (a *app) dirs() (config.Dirs, error) { return config.FindDirs(a.getenv) }

// home is the user's home directory, "" when there is none.
func (a *app) home() string {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if h := a.getenv(name); h != "" {
			return h
		}
	}
	return ""
}

// terminal says whether f (stdin, stdout or stderr) is a terminal.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
