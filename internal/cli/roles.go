package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/creds"
	"rolecall/internal/login"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

const listPoll = 100 * time.Millisecond // for another process that is listing

type rolesOptions struct {
	session string
	refresh bool
	json    bool
}

func (a *app) rolesCommand() *cobra.Command {
	var o rolesOptions
	c := &cobra.Command{
		Use:   "roles",
		Short: "List every account and role of the SSO sessions you are signed in to",
		Long: `List every account and role of the SSO sessions that you are signed in to. The list is
kept: it is shown at once, and asked for anew in the background when it is over an hour
old. --refresh waits for a new one.`,
		Example: `  rolecall roles
  rolecall roles --refresh
  rolecall roles --json | jq -r '.[] | select(.role == "ReadOnly") | .source'
  rolecall load sso:corp/123456789012/ReadOnly`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.roles(c.Context(), o) },
	}
	a.sessionNameFlag(c, &o.session, "those of the session `NAME` only")
	c.Flags().BoolVar(&o.refresh, "refresh", false, "ask for a new list, and wait for it")
	c.Flags().BoolVar(&o.json, "json", false, "print them as JSON")
	return c
}

// roleLine is one role in JSON.
type roleLine struct {
	Session     string    `json:"session"`
	AccountID   string    `json:"account_id"`
	AccountName string    `json:"account_name"`
	Email       string    `json:"email,omitempty"`
	Role        string    `json:"role"`
	Source      string    `json:"source"` // for rolecall load
	Listed      time.Time `json:"listed"`
}

func (a *app) roles(ctx context.Context, o rolesOptions) error {
	f, err := a.awsFiles()
	if err != nil {
		return err
	}
	all := a.signIns(f, time.Now())
	if o.session != "" {
		s, err := namedSession(f, a.sessions(f), o.session)
		if err != nil {
			return err
		}
		cache, err := sso.NewCache(a.home())
		if err != nil {
			return err
		}
		all = []signIn{signInOf(cache, s, time.Now())}
	}
	lines := []roleLine{}
	good := 0
	for _, in := range all {
		if !in.good() {
			switch in.State {
			case ended:
				a.warn("the sign-in to "+in.Session+" has ended", in.Hint)
			case unusable:
				a.warn("the cached token of "+in.Session+" "+in.why, in.Hint)
			}
			continue
		}
		good++
		list, err := a.listOf(ctx, in.session, o.refresh)
		if err != nil {
			return err
		}
		lines = append(lines, roleLines(in.session, list)...)
	}
	switch {
	case good == 0 && len(all) == 0:
		return failed("the AWS files name no SSO session: "+f.Paths.Config, "rolecall login --start-url https://d-1234567890.awsapps.com/start --region eu-west-1")
	case good == 0:
		return &usererr.Error{Code: usererr.LoginRequired, Msg: "nobody is signed in to SSO", Hint: all[0].session.Command()}
	case o.json:
		return writeJSON(a.stdout, lines)
	}
	var t table
	t.row("SESSION", "ACCOUNT", "NAME", "ROLE")
	for _, l := range lines {
		t.row(visible(l.Session), visible(l.AccountID), visible(l.AccountName), visible(l.Role))
	}
	for _, l := range t.lines() {
		if _, err := fmt.Fprintln(a.stdout, l); err != nil {
			return err
		}
	}
	return nil
}

func roleLines(s sso.Session, list login.List) (lines []roleLine) {
	for _, account := range list.Accounts {
		for _, role := range account.Roles {
			lines = append(lines, roleLine{s.Name, account.ID, account.Name, account.Email, role, ssoSource(s.Name, account.ID, role), list.Listed})
		}
	}
	return lines
}

func ssoSource(session, account, role string) string {
	return "sso:" + session + "/" + account + "/" + role
}

// listOf is the list of a session: the kept one where there is one and no new
// one is wanted.
func (a *app) listOf(ctx context.Context, s sso.Session, refresh bool) (login.List, error) {
	lists, err := a.lists()
	if err != nil {
		return login.List{}, err
	}
	if !refresh {
		if list, err := lists.Read(s); err == nil {
			if list.Stale(time.Now()) {
				a.listBehind(s)
			}
			return list, nil
		}
	}
	return a.askRoles(ctx, lists, s, a.listProgress(s))
}

// askRoles asks the portal, or waits for the process that does so already.
func (a *app) askRoles(ctx context.Context, lists login.Lists, s sso.Session, progress func(login.Progress)) (login.List, error) {
	began, waited := time.Now().Truncate(time.Second), false
	release, held, err := lists.Hold(s)
	for err == nil && !held {
		waited = true
		select {
		case <-time.After(listPoll):
		case <-ctx.Done():
			return login.List{}, ctx.Err()
		}
		release, held, err = lists.Hold(s)
	}
	if err != nil {
		return login.List{}, err
	}
	defer release()
	if list, err := lists.Read(s); err == nil && waited && !list.Listed.Before(began) {
		return list, nil
	}
	r := a.resolver()
	service, err := r.SSO(s)
	if err != nil {
		return login.List{}, err
	}
	roles := login.Roles{Portal: service, Progress: progress,
		Token: func(ctx context.Context, rejected creds.Secret) (creds.Secret, error) {
			return r.SSOToken(ctx, s, rejected)
		}}
	accounts, err := roles.List(ctx)
	if progress != nil {
		overwrite(a.stderr, "")
	}
	if err != nil {
		return login.List{}, err
	}
	list := login.List{StartURL: s.StartURL, Region: s.Region, Listed: time.Now().UTC().Truncate(time.Second), Accounts: accounts}
	if err := lists.Write(s, accounts, list.Listed); err != nil {
		a.warn("the list of roles cannot be kept: "+err.Error(), "")
	}
	return list, nil
}

// listProgress shows how far a list has come, on a terminal.
func (a *app) listProgress(s sso.Session) func(login.Progress) {
	if !a.redraws() {
		return nil
	}
	var last time.Time
	return func(p login.Progress) {
		if time.Since(last) < listPoll && p.Done < p.Accounts {
			return
		}
		last = time.Now()
		overwrite(a.stderr, visible(fmt.Sprintf("%s: %s of %s accounts, %s roles", s.Name, count(uint64(p.Done)), count(uint64(p.Accounts)), count(uint64(p.Roles)))))
	}
}

// listBehind lets a process of its own ask for a new list. One that runs
// already is enough; what goes wrong is told at the next --refresh.
func (a *app) listBehind(s sso.Session) {
	self, err := os.Executable()
	if err != nil {
		return
	}
	lists, err := a.lists()
	if err != nil {
		return
	}
	release, held, err := lists.Hold(s)
	if err != nil || !held {
		return
	}
	release()
	cmd := exec.Command(self, "roles", "--refresh", "--json", "--sso-session="+s.Name)
	cmd.Args[0] = "rolecall"
	cmd.Env = a.environ()
	login.Detach(cmd)
	_ = cmd.Start() // nobody waits for it
}
