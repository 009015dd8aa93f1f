package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/awsconfig"
	"rolecall/internal/fileedit"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

type profilesWrite struct {
	session string
	format  string
	region  string
	yes     bool
	dry     bool
	refresh bool
}

func (a *app) profilesCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:     "profiles",
		Short:   "Write profiles for the roles that SSO gives you",
		Example: "  rolecall profiles write --dry-run",
	}, a.profilesWriteCommand())
}

func (a *app) profilesWriteCommand() *cobra.Command {
	var o profilesWrite
	c := &cobra.Command{
		Use:   "write",
		Short: "Write a profile for every role into ~/.aws/config",
		Long: `Write a profile for every account and role of the SSO sessions that you are signed in to
into ~/.aws/config, for the aws CLI and every SDK. They stand between two marks for each
session; all else in the file stays byte for byte. The change is shown first, and you are
asked. Run it again when roles come and go: what is as it should be is left alone.

The names follow --format, with {account_name}, {account_id}, {role} and {session}. A
name that the files have already, outside the marks, stays yours and is left out.`,
		Example: `  rolecall profiles write
  rolecall profiles write --sso-session corp --format '{account_id}.{role}' --region eu-west-1
  rolecall profiles write --dry-run`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := awsconfig.CheckFormat(o.format); err != nil {
				return wrongUsage("--format: "+err.Error(), "rolecall profiles write --format '"+awsconfig.DefaultFormat+"'")
			}
			if strings.ContainsAny(o.region, " \t\r\n#;[]=") {
				return wrongUsage(quoted(o.region)+" is not a region", "rolecall profiles write --region eu-west-1")
			}
			if err := exclusive(c, "yes", "dry-run"); err != nil {
				return err
			}
			return a.writeProfiles(c.Context(), o)
		},
	}
	a.sessionNameFlag(c, &o.session, "for the session `NAME` only")
	c.Flags().StringVar(&o.format, "format", awsconfig.DefaultFormat, "how profiles are named: a `TEXT` with {account_name}, {account_id}, {role}, {session}")
	c.Flags().StringVar(&o.region, "region", "", "the `REGION` that the profiles are to have (default: none is written)")
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&o.dry, "dry-run", false, "show the change, and write nothing")
	c.Flags().BoolVar(&o.refresh, "refresh", false, "ask for a new list of roles first")
	return c
}

func (a *app) writeProfiles(ctx context.Context, o profilesWrite) error {
	f, err := a.awsFiles()
	if err != nil {
		return err
	}
	path := f.Paths.Config
	if path == "" {
		return failed("there is no home directory to write .aws/config in", "set HOME, or AWS_CONFIG_FILE")
	}
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = nil, nil
	}
	if err != nil {
		return failed("the AWS configuration cannot be read: "+err.Error(), "correct its permissions, or name another file in AWS_CONFIG_FILE")
	}
	sessions, err := a.sessionsToWrite(f, o)
	if err != nil {
		return err
	}
	text, written := old, 0
	for _, s := range sessions {
		n := 0
		if text, n, err = a.withProfilesOf(ctx, f, s, o, text); err != nil {
			return err
		}
		written += n
	}
	diff := fileedit.Diff(path, old, text)
	switch {
	case diff == "":
		_, err := fmt.Fprintf(a.stdout, "%s has all %d profiles as they should be\n", path, written)
		return err
	case o.dry:
		_, err := fmt.Fprint(a.stdout, shownDiff(diff))
		return err
	}
	if !o.yes {
		fmt.Fprint(a.stderr, shownDiff(diff))
		if err := a.confirm(ctx, "write this to "+path+"?"); err != nil {
			return err
		}
	}
	if err := fileedit.File(path, old, text); err != nil {
		if errors.Is(err, fileedit.ErrChanged) {
			return failed("nothing was written: "+err.Error(), "rolecall profiles write, once more")
		}
		return failed("nothing was written: "+err.Error(), "make the file writable, or show the change with: rolecall profiles write --dry-run")
	}
	_, err = fmt.Fprintf(a.stdout, "%s has %d profiles of %d SSO sessions\n", path, written, len(sessions))
	return err
}

// sessionsToWrite are those that somebody is signed in to.
func (a *app) sessionsToWrite(f *awsconfig.Files, o profilesWrite) (list []sso.Session, err error) {
	all := a.signIns(f, time.Now())
	for _, in := range all {
		switch {
		case o.session != "" && in.Session != o.session:
		case in.good():
			list = append(list, in.session)
		case o.session != "":
			return nil, &usererr.Error{Code: usererr.LoginRequired, Msg: "nobody is signed in to " + in.Session, Hint: in.Hint}
		default:
			a.warn("nobody is signed in to "+in.Session+": its profiles stay as they are", in.Hint)
		}
	}
	switch {
	case len(list) > 0:
		return list, nil
	case o.session != "":
		_, err := namedSession(f, a.sessions(f), o.session)
		return nil, err
	case len(all) == 0:
		return nil, failed("the AWS files name no SSO session: "+f.Paths.Config, "rolecall login --start-url https://d-1234567890.awsapps.com/start --region eu-west-1")
	}
	return nil, &usererr.Error{Code: usererr.LoginRequired, Msg: "nobody is signed in to SSO", Hint: all[0].Hint}
}

const hintMarks = "nothing was changed; correct that line, or remove all that rolecall wrote, marks and all, and type the command again"

// withProfilesOf is text with the profiles of one session, and how many they
// are.
func (a *app) withProfilesOf(ctx context.Context, f *awsconfig.Files, s sso.Session, o profilesWrite, text []byte) ([]byte, int, error) {
	list, err := a.listOf(ctx, s, o.refresh)
	if err != nil {
		return nil, 0, err
	}
	var all []awsconfig.RoleProfile
	for _, l := range roleLines(s, list) {
		p := awsconfig.RoleProfile{AccountID: l.AccountID, AccountName: l.AccountName, Role: l.Role, Region: o.region}
		if s.Section {
			p.Session = s.Name
		} else {
			p.StartURL, p.SSORegion = s.StartURL, s.Region
		}
		all = append(all, p)
	}
	others, err := awsconfig.Unmanaged(text, s.Name)
	if err != nil {
		return nil, 0, failed(f.Paths.Config+": "+err.Error(), hintMarks)
	}
	theirs, err := awsconfig.Parse(f.Paths, others, nil)
	if err != nil {
		return nil, 0, failed(err.Error(), hintMarks)
	}
	var mine []awsconfig.RoleProfile
	for _, p := range awsconfig.NameProfiles(o.format, all) {
		there, ok := theirs.Profile(p.Name)
		if !ok {
			there, ok = f.Profile(p.Name)
			ok = ok && there.File == f.Paths.Credentials
		}
		if ok {
			a.warn(fmt.Sprintf("%s:%d has a profile %q already: it stays as it is", there.File, there.Line, p.Name), "choose other names with --format")
			continue
		}
		mine = append(mine, p)
	}
	text, err = awsconfig.Manage(text, s.Name, mine)
	if err != nil {
		return nil, 0, failed(f.Paths.Config+": "+err.Error(), hintMarks)
	}
	return text, len(mine), nil
}

// shownDiff is a difference for the eye: line ends of Windows, tabs and a byte
// order mark are not what is to be agreed to.
func shownDiff(diff string) string {
	return visible(strings.NewReplacer("\r\n", "\n", "\t", "    ", "\ufeff", "").Replace(diff))
}

var errNotConfirmed = &failure{code: exitInterrupted, msg: "nothing was changed"}

// confirm asks a person, who types y or yes.
func (a *app) confirm(ctx context.Context, text string) error {
	in, out, done := a.screen()
	defer done()
	if in == nil {
		return wrongUsage("there is no terminal to ask at", "add --yes")
	}
	switch yes, err := agreed(ctx, in, out, text); {
	case err != nil:
		return err
	case !yes:
		return errNotConfirmed
	}
	return nil
}
