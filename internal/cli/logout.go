package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/awsconfig"
	"rolecall/internal/login"
	"rolecall/internal/shellword"
	"rolecall/internal/sso"
)

func (a *app) logoutCommand() *cobra.Command {
	var o sessionFlags
	var all bool
	c := &cobra.Command{
		Use:   "logout [PROFILE]",
		Short: "End a sign-in to SSO, at the service as well",
		Long: `End the sign-in to an SSO session: at the service, and here, for the aws CLI and all
SDKs. Without a name it is the only one that is signed in. Tokens of other tools, for
other scopes, are left alone.

Credentials that were handed out stay good until they end; 'rolecall unload --all' and
'rolecall store clear' forget those that rolecall holds.`,
		Example: `  rolecall logout
  rolecall logout --sso-session corp
  rolecall logout --all`,
		Args: oneProfile,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.profile = args[0]
			}
			if err := o.check(c); err != nil {
				return err
			}
			if all && (o.profile != "" || o.name != "") {
				return wrongUsage("--all excludes PROFILE and --sso-session", c.CommandPath()+" --all")
			}
			return a.logout(c.Context(), o, all)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	a.sessionNameFlag(c, &o.name, "end the sign-in to the session `NAME`")
	c.Flags().BoolVar(&all, "all", false, "end every sign-in")
	return c
}

func (a *app) logout(ctx context.Context, o sessionFlags, all bool) error {
	f, err := a.awsFiles()
	if err != nil {
		return err
	}
	sessions, err := a.sessionsToEnd(f, o, all)
	if err != nil {
		return err
	}
	ended := 0
	var faults []error
	for _, s := range sessions {
		was, err := a.signOut(ctx, s)
		if was && err == nil {
			fmt.Fprintln(a.stdout, visible("signed out of "+s.Name))
		}
		if was {
			ended++
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 1 {
		for _, err := range faults[1:] {
			a.warn(err.Error(), "")
		}
	}
	if len(faults) > 0 {
		return faults[0]
	}
	if ended == 0 {
		fmt.Fprintln(a.stdout, "nobody was signed in")
	}
	return nil
}

// sessionsToEnd are all, the one that is named, or the only one with a token.
func (a *app) sessionsToEnd(f *awsconfig.Files, o sessionFlags, all bool) ([]sso.Session, error) {
	if all {
		return a.sessions(f), nil
	}
	if o.profile == "" && o.name == "" {
		var with []sso.Session
		for _, in := range a.signIns(f, time.Now()) {
			if in.State != notSignedIn && in.State != unusable {
				with = append(with, in.session)
			}
		}
		if len(with) < 2 {
			return with, nil
		}
		return nil, wrongUsage(fmt.Sprintf("there are %d sign-ins", len(with)), "rolecall logout --sso-session "+shellword.Word(with[0].Name)+", or rolecall logout --all")
	}
	s, err := a.sessionOf(f, o, "rolecall logout")
	return []sso.Session{s}, err
}

func (a *app) signOut(ctx context.Context, s sso.Session) (was bool, err error) {
	cache, err := sso.NewCache(a.home())
	if err != nil {
		return false, err
	}
	service, err := a.resolver().SSO(s)
	if err != nil {
		return false, err
	}
	was, err = login.SignOut(ctx, cache, s, service)
	lists, listErr := a.lists()
	if listErr == nil {
		listErr = lists.Remove(s)
	}
	if s.Section || s.Profile != "" {
		return was, errors.Join(err, listErr)
	}
	if file := a.ssoSessionsFile(); len(sso.ReadFurther(file)) > 0 {
		listErr = errors.Join(listErr, sso.KeepFurther(file, s, false))
	}
	return was, errors.Join(err, listErr)
}
