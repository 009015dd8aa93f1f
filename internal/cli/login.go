package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/login"
	"rolecall/internal/privatefile"
	"rolecall/internal/sso"
)

type loginOptions struct {
	sessionFlags
	device     bool
	deviceSaid bool // --device was given, with whichever value
	noBrowser  bool
	json       bool
	mfa        mfaOptions
}

func (a *app) loginCommand() *cobra.Command {
	var o loginOptions
	c := &cobra.Command{
		Use:   "login [PROFILE]",
		Short: "Sign in to SSO for all programs, or give an MFA code",
		Long: `Sign in to AWS IAM Identity Center (SSO): in this machine's browser, or with --device
by typing a code in a browser anywhere. Over SSH, in a container and without a screen it
is --device by itself.

The session is that of PROFILE, of --sso-session, or at --start-url in --region; where the
AWS files name only one, it is that. The token goes to ~/.aws/sso/cache, as that of
'aws sso login' does, so that the aws CLI and all SDKs are signed in too. Slots that were
waiting for it recover within a second.

For a PROFILE with an mfa_serial it asks for the code of that device, and makes a new
session of it for all profiles that use the device.

One sign-in waits at a time. Ctrl-C leaves everything as it was.`,
		Example: `  rolecall login                       # the only SSO session there is
  rolecall login dev                   # that of the profile dev
  rolecall login admin                 # that of an MFA device
  rolecall login --sso-session corp
  rolecall login --sso-session corp --device
  rolecall login --start-url https://d-1234567890.awsapps.com/start --region eu-west-1`,
		Args: oneProfile,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.profile = args[0]
			}
			o.deviceSaid = c.Flags().Changed("device")
			if err := o.check(c); err != nil {
				return err
			}
			if err := o.mfa.check(c); err != nil {
				return err
			}
			return a.login(c.Context(), o)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	a.sessionNameFlag(c, &o.name, "sign in to the session `NAME` of ~/.aws/config")
	c.Flags().StringVar(&o.startURL, "start-url", "", "with --region: sign in at this `URL`")
	c.Flags().StringVar(&o.region, "region", "", "the `REGION` of IAM Identity Center, with --start-url")
	c.Flags().BoolVar(&o.device, "device", false, "sign in by typing a code in any browser; =false for this machine's browser all the same")
	c.Flags().BoolVar(&o.noBrowser, "no-browser", false, "show the page's address and open nothing")
	c.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	o.mfa.flags(c)
	return c
}

// check refuses flags that contradict.
func (o sessionFlags) check(c *cobra.Command) error {
	given := 0
	for _, text := range []string{o.profile, o.name, o.startURL} {
		if text != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return wrongUsage("PROFILE, --sso-session and --start-url exclude each other", c.CommandPath()+" --help")
	case (o.startURL == "") != (o.region == ""):
		return wrongUsage("--start-url and --region belong together", c.CommandPath()+" --start-url https://d-1234567890.awsapps.com/start --region eu-west-1")
	}
	return nil
}

func (a *app) login(ctx context.Context, o loginOptions) error {
	f, err := a.awsFiles()
	if err != nil {
		return err
	}
	devices := a.devices(o)
	session, err := a.sessionOf(f, o.sessionFlags, "rolecall login")
	switch {
	case err != nil && len(devices) > 0: // the profile has keys, and a device
		return a.loginMFA(ctx, o, devices)
	case err != nil:
		return err
	}
	if len(devices) == 0 && (o.mfa.code != "" || o.mfa.process != "") {
		return wrongUsage("--mfa-code and --mfa-process are for a PROFILE with an mfa_serial", "rolecall login, without them")
	}
	if err := a.loginSSO(ctx, o, session); err != nil || len(devices) == 0 {
		return err
	}
	return a.loginMFA(ctx, o, devices)
}

// loginSSO signs in to one session.
func (a *app) loginSSO(ctx context.Context, o loginOptions, session sso.Session) error {
	service, err := a.resolver().SSO(session)
	if err != nil {
		return err
	}
	cache, err := sso.NewCache(a.home())
	if err != nil {
		return err
	}
	d, err := a.dirs()
	if err != nil {
		return err
	}
	pending := d.State("sign-in")
	if err := privatefile.EnsureDir(filepath.Dir(pending)); err != nil {
		return err
	}
	c := login.Config{Session: session, Service: service, Cache: cache, Pending: pending}
	desktop := login.Desktop{GOOS: runtime.GOOS, Getenv: a.getenv, Environ: a.environ}
	why := a.way(&c, desktop, o)
	stop := func() {}
	c.Tell = func(p login.Pending) {
		stop()
		if p.Code != "" && !c.Device {
			why = "no browser could be opened"
		}
		stop = a.showPending(ctx, p, session.Name, why)
	}
	done, err := login.SignIn(ctx, c)
	stop()
	if err != nil {
		return err
	}
	if lists, err := a.lists(); err == nil {
		lists.Outdate(session)
	}
	if !session.Section && session.Profile == "" {
		if err := sso.KeepFurther(d.SSOSessions(), session, true); err != nil {
			a.warn("the session cannot be kept among those that rolecall roles lists: "+err.Error(), "")
		}
	}
	if done.Skew != 0 {
		a.warn("this machine's clock is "+skewWords(done.Skew)+", and AWS refuses requests that are off by 5 minutes", "set the clock")
	}
	return a.signedIn(session, done, o.json)
}

// way decides between browser and code, and says why a code where nobody asked
// for one.
func (a *app) way(c *login.Config, desktop login.Desktop, o loginOptions) (why string) {
	has, reason := desktop.HasBrowser()
	switch {
	case o.deviceSaid:
		c.Device = o.device
	case !has:
		c.Device, why = true, reason
	}
	if !c.Device && !o.noBrowser {
		c.Open = desktop.Open
	}
	return why
}

// signedIn tells of the sign-in.
func (a *app) signedIn(s sso.Session, done login.Done, asJSON bool) error {
	if asJSON {
		return writeJSON(a.stdout, struct {
			Session   string    `json:"session"`
			StartURL  string    `json:"start_url"`
			Region    string    `json:"region"`
			Expires   time.Time `json:"expires"`
			Remaining float64   `json:"remaining_seconds"`
			Renews    bool      `json:"renews"`
		}{s.Name, s.StartURL, s.Region, done.Expires.UTC().Truncate(time.Second), time.Until(done.Expires).Seconds(), done.Refreshable})
	}
	line := fmt.Sprintf("signed in to %s until %s (%s)", s.Name, done.Expires.Local().Format("2006-01-02 15:04:05 MST"), span(time.Until(done.Expires)+time.Second))
	if done.Refreshable {
		line += ", renewed without you after that"
	}
	_, err := fmt.Fprintln(a.stdout, visible(line))
	return err
}
