package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
)

type loadOptions struct {
	source  string
	slot    string
	slotted bool
	account string
	role    string
	arn     string
	session string
	json    bool
	mfa     mfaOptions
}

func (a *app) loadCommand() *cobra.Command {
	var o loadOptions
	c := &cobra.Command{
		Use:   "load [SOURCE]",
		Short: "Fill the default slot, or a named one",
		Long: `Load credentials into a slot of the daemon, which keeps them fresh from then on.

SOURCE is a profile of ~/.aws/config (NAME or profile:NAME), a role of an SSO session
(sso:SESSION/ACCOUNT/ROLE), imds, container, env, default, role:ARN, role:ARN@SOURCE, or
fake to try things out. Without SOURCE, on a terminal, you choose among your profiles and
the roles of the SSO sessions that you are signed in to. --account with --role, and --arn
of a role that SSO gives, need no profile.

Where the profile names an mfa_serial, you are asked for the code of that device here.
The daemon keeps the session that AWS gives for it, and asks for no other code until
that ends (12 hours; mfa_session in the configuration).

With --server the credentials are resolved here and uploaded; nobody refreshes them
there. Exit code 4 says that a login is needed first.`,
		Example: `  rolecall load                      # choose from a list
  rolecall load dev                  # into the default slot
  rolecall load prod --slotted       # into the slot prod, served at /slot/prod
  rolecall load role:arn:aws:iam::123456789012:role/audit@prod --slot audit
  rolecall load admin --mfa-process "ykman oath accounts code -s aws"
  rolecall load --account 123456789012 --role ReadOnly
  rolecall load --account 123456789012 --role ReadOnly --sso-session corp
  rolecall load sso:corp/123456789012/ReadOnly`,
		Args: oneSource,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.source = args[0]
			}
			if err := o.check(c); err != nil {
				return err
			}
			return a.load(c.Context(), o)
		},
		ValidArgsFunction: a.completeSources,
	}
	a.loadFlags(c, &o)
	c.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	o.mfa.flags(c)
	a.serverFlags(c)
	return c
}

func (a *app) loadFlags(c *cobra.Command, o *loadOptions) {
	a.slotFlag(c, &o.slot, "fill the slot `NAME` and not the default one")
	c.Flags().BoolVar(&o.slotted, "slotted", false, "fill the slot that is named after the profile")
	c.Flags().StringVar(&o.account, "account", "", "with --role: a role of this account `ID`, of a profile or of an SSO session")
	c.Flags().StringVar(&o.role, "role", "", "with --account: the `NAME` of the role")
	c.Flags().StringVar(&o.arn, "arn", "", "the profile or the SSO session's role of this `ARN`, or the role itself, assumed with the default credentials")
	a.sessionNameFlag(c, &o.session, "with --account and --role, or --arn: of the SSO session `NAME`")
}

func (o *loadOptions) check(c *cobra.Command) error {
	help := c.CommandPath() + " --help"
	switch {
	case (o.account == "") != (o.role == ""):
		return wrongUsage("--account and --role belong together", c.CommandPath()+" --account 123456789012 --role NAME")
	case o.source != "" && (o.role != "" || o.arn != ""):
		return wrongUsage("SOURCE, --account with --role, and --arn exclude each other", help)
	case o.session != "" && o.role == "" && o.arn == "":
		return wrongUsage("--sso-session belongs to --account with --role, or to --arn", c.CommandPath()+" --account 123456789012 --role NAME --sso-session "+shellword.Word(o.session))
	case o.role != "" && o.arn != "":
		return wrongUsage("--arn excludes --account and --role", help)
	case o.arn != "" && (creds.AccountFromARN(o.arn) == "" || creds.RoleNameFromARN(o.arn) == ""):
		return wrongUsage(quoted(o.arn)+" is not the ARN of a role", c.CommandPath()+" --arn arn:aws:iam::123456789012:role/NAME")
	}
	if o.account != "" {
		id, ok := accountID(o.account)
		if !ok {
			return wrongUsage(quoted(o.account)+" is not an account: it has 12 digits", help)
		}
		o.account = id
	}
	if err := exclusive(c, "slot", "slotted"); err != nil {
		return err
	}
	if c.Flags().Lookup("mfa-code") != nil {
		if err := o.mfa.check(c); err != nil {
			return err
		}
	}
	return checkSlot(c, o.slot)
}

func (a *app) load(ctx context.Context, o loadOptions) error {
	source, err := a.chooseSource(ctx, o)
	if err != nil {
		return err
	}
	if o.slotted {
		o.slot = strings.TrimPrefix(source, "profile:")
		if err := config.CheckSlotName(o.slot); err != nil {
			return wrongUsage("--slotted: "+err.Error(), "name the slot with --slot NAME")
		}
	}
	if a.server != "" {
		return a.upload(ctx, o, source)
	}
	d, err := a.daemon()
	if err != nil {
		return err
	}
	var result control.LoadResult
	err = a.withCodes(ctx, o.mfa, giveDaemon(d, source, false), func() (err error) {
		result, err = d.Load(ctx, control.LoadRequest{Slot: o.slot, Source: source, Ask: a.canAsk(o.mfa)})
		return err
	})
	if err != nil {
		return err
	}
	a.remember(recentKey(result.Slot))
	if o.json {
		if err := writeJSON(a.stdout, result); err != nil {
			return err
		}
	}
	if result.Err != nil {
		e := result.Err.Retrieve()
		e.Msg += fmt.Sprintf(" (%s goes on trying)", slotWords(o.slot))
		return e
	}
	if !o.json {
		fmt.Fprintln(a.stdout, visible(loadedLine(result.Slot, time.Now())))
	}
	return nil
}

// loadedLine says what is loaded where, and until when.
func loadedLine(s control.Slot, now time.Time) string {
	line := slotWords(s.Name) + ": " + s.Source
	if s.AccountID != "" {
		line += ", account " + s.AccountID
	}
	if s.RoleName != "" {
		line += ", role " + s.RoleName
	}
	switch {
	case s.Static:
		line += ", never expires"
	case s.Expires != nil:
		line += ", until " + s.Expires.Local().Format("2006-01-02 15:04:05 MST") + " (" + span(s.Expires.Sub(now)) + ")"
	}
	if !s.Pushed && !s.Static {
		line += ", refreshed ahead of that"
	}
	return line
}

// chooseSource is the source that the options name, or the one that a person
// chooses.
func (a *app) chooseSource(ctx context.Context, o loadOptions) (string, error) {
	if o.source != "" {
		return o.source, nil
	}
	f, err := a.awsFiles()
	if err != nil {
		return "", err
	}
	all := profilesOf(f)
	if o.role != "" || o.arn != "" {
		return a.roleSource(f, all, o)
	}
	in, out, done := a.screen()
	defer done()
	if in == nil {
		return "", wrongUsage("no SOURCE is named, and there is no terminal to choose one at", "rolecall load PROFILE")
	}
	if a.getenv("TERM") == "dumb" {
		return "", wrongUsage("no SOURCE is named, and this terminal (TERM=dumb) cannot show a list to choose from", "rolecall load PROFILE; rolecall roles lists those of SSO")
	}
	entries, more := a.choices(ctx, f, all)
	if len(entries) == 0 && more == nil {
		return "", failed("the AWS files have no profile with credentials: "+f.Paths.Config+", "+f.Paths.Credentials, "aws configure sso")
	}
	p, err := pick(ctx, in, out, a.environ(), entries, more)
	if err != nil {
		return "", err
	}
	return p.source(), nil
}

// recentKey is what the picker knows a slot's source by.
func recentKey(s control.Slot) string {
	if strings.HasPrefix(s.Source, "sso:") {
		return s.Source
	}
	return s.Profile
}
