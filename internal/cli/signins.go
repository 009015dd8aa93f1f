package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/awsconfig"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/login"
	"rolecall/internal/shellword"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// States of a sign-in, the same in text and JSON.
const (
	signedIn    = "signed_in"     // the token is good
	renewable   = "renewable"     // it has ended, and is refreshed at its next use
	ended       = "ended"         // a person has to sign in again
	notSignedIn = "not_signed_in" // nobody has
	unusable    = "unusable"      // the token cannot be read, or is another tool's
)

// signIn is what there is to tell of one SSO session.
type signIn struct {
	Session   string     `json:"session"`
	StartURL  string     `json:"start_url"`
	Region    string     `json:"region"`
	State     string     `json:"state"`
	Expires   *time.Time `json:"expires,omitempty"` // of the access token
	Remaining float64    `json:"remaining_seconds"`
	Renews    bool       `json:"renews"` // it goes on without a person
	Hint      string     `json:"hint,omitempty"`

	session sso.Session
	why     string // it is unusable, in words that follow "the cached token"
}

func (s signIn) good() bool { return s.State == signedIn || s.State == renewable }

// words are for people.
func (s signIn) words() string {
	switch s.State {
	case signedIn:
		text := "signed in, " + span(time.Duration(s.Remaining*float64(time.Second))) + " left"
		if s.Renews {
			text += ", renews itself"
		}
		return text
	case renewable:
		return "renews itself"
	case ended:
		return "sign-in ended"
	case unusable:
		return "token unusable"
	}
	return "not signed in"
}

// sessions are all that the user's files name.
func (a *app) sessions(f *awsconfig.Files) []sso.Session {
	return sso.Sessions(f, sso.ReadFurther(a.ssoSessionsFile()))
}

func (a *app) ssoSessionsFile() string {
	d, err := a.dirs()
	if err != nil {
		return ""
	}
	return d.SSOSessions()
}

// signIns looks at the token of each session. It asks nobody.
func (a *app) signIns(f *awsconfig.Files, now time.Time) []signIn {
	cache, err := sso.NewCache(a.home())
	if err != nil {
		return nil
	}
	list := []signIn{}
	for _, s := range a.sessions(f) {
		list = append(list, signInOf(cache, s, now))
	}
	return list
}

func signInOf(cache sso.Cache, s sso.Session, now time.Time) signIn {
	in := signIn{Session: s.Name, StartURL: s.StartURL, Region: s.Region, State: notSignedIn, session: s}
	t, err := cache.Read(s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, sso.ErrDamaged):
		in.State, in.why = unusable, "is damaged"
	case err != nil:
		in.State, in.why = unusable, "cannot be read: "+err.Error()
	case t.Foreign(s) != "":
		in.State, in.why = unusable, t.Foreign(s)
	default:
		expires := t.Expires.UTC()
		in.Expires, in.Remaining, in.Renews = &expires, max(0, expires.Sub(now.Round(0)).Seconds()), t.Refreshable()
		switch {
		case t.Good(now, 0, creds.Secret{}):
			in.State = signedIn
		case t.Refreshable():
			in.State = renewable
		default:
			in.State = ended
		}
	}
	if !in.good() {
		in.Hint = s.Command()
	}
	return in
}

// knownSignIns are those that there is or was a token for, as this user's files
// say, which are the daemon's too, and its slots.
func (a *app) knownSignIns(slots []control.Slot, now time.Time) []signIn {
	f, err := a.awsFiles()
	if err != nil {
		return []signIn{} // the daemon's slots tell of the file
	}
	list := a.signIns(f, now)
	a.markRefused(f, list, slots)
	return slices.DeleteFunc(list, func(in signIn) bool { return in.State == notSignedIn })
}

// markRefused notes which sign-ins the service has refused to a slot since they
// were made: their files cannot tell.
func (a *app) markRefused(f *awsconfig.Files, list []signIn, slots []control.Slot) {
	cache, err := sso.NewCache(a.home())
	if err != nil {
		return
	}
	for _, s := range slots {
		if s.Error == nil || s.Error.Code != usererr.LoginRequired || s.Error.MFA != "" || s.Error.At == nil {
			continue
		}
		i := slices.IndexFunc(list, func(in signIn) bool { return in.good() && usesSession(f, s.Source, in.session) })
		if i < 0 {
			continue
		}
		if info, err := os.Stat(cache.TokenPath(list[i].session)); err == nil && !info.ModTime().Truncate(time.Second).After(*s.Error.At) {
			in := &list[i]
			in.State, in.Expires, in.Remaining, in.Renews, in.Hint = ended, nil, 0, false, in.session.Command()
		}
	}
}

// usesSession says whether a source rests on the sign-in to a session.
func usesSession(f *awsconfig.Files, source string, session sso.Session) bool {
	if role, ok := strings.CutPrefix(source, "sso:"+session.Name+"/"); ok {
		return strings.Count(role, "/") == 1 // a session's name may have one, too
	}
	name, ok := strings.CutPrefix(source, "profile:")
	if !ok {
		return false
	}
	s, err := profileSession(f, name)
	return err == nil && s.CacheKey() == session.CacheKey()
}

// signInTable has a line for each sign-in, below an empty one.
func signInTable(list []signIn, colours bool) []string {
	if len(list) == 0 {
		return nil
	}
	var t table
	t.row("SIGN-IN", "STATE", "START URL")
	for _, in := range list {
		t.row(visible(in.Session), in.words(), visible(in.StartURL))
		if colours {
			colour := colourGreen
			if !in.good() {
				colour = colourRed
			}
			t.paint(1, colour)
		}
	}
	aligned := t.lines()
	lines := []string{"", aligned[0]}
	for i, in := range list {
		lines = append(lines, aligned[i+1])
		if in.Hint != "" {
			lines = append(lines, "  hint: "+visible(in.Hint))
		}
	}
	return lines
}

// sessionFlags choose one session.
type sessionFlags struct {
	profile  string // the argument
	name     string
	startURL string
	region   string
}

func (a *app) sessionNameFlag(c *cobra.Command, name *string, usage string) {
	c.Flags().StringVar(name, "sso-session", "", usage)
	a.complete(c, "sso-session", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		f, err := a.awsFiles()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		for _, s := range a.signIns(f, time.Now()) {
			words = append(words, cobra.CompletionWithDesc(s.Session, s.words()))
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	})
}

// sessionOf is the session that flags name, or the only one. Without any the
// profile of AWS_PROFILE goes before the only one.
func (a *app) sessionOf(f *awsconfig.Files, o sessionFlags, command string) (sso.Session, error) {
	all := a.sessions(f)
	switch {
	case o.startURL != "":
		return a.sessionAt(all, o)
	case o.name != "":
		return namedSession(f, all, o.name)
	case o.profile != "":
		return profileSession(f, strings.TrimPrefix(o.profile, "profile:"))
	}
	if name := a.getenv("AWS_PROFILE"); name != "" {
		if s, err := profileSession(f, name); err == nil {
			return s, nil
		}
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return sso.Session{}, failed("the AWS files name no SSO session: "+f.Paths.Config, "rolecall login --start-url https://d-1234567890.awsapps.com/start --region eu-west-1")
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return sso.Session{}, wrongUsage("there are several SSO sessions: "+strings.Join(names, ", "), command+" --sso-session "+shellword.Word(names[0]))
}

func namedSession(f *awsconfig.Files, all []sso.Session, name string) (sso.Session, error) {
	if i := slices.IndexFunc(all, func(s sso.Session) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	if section, ok := f.SSOSession(name); ok {
		_, err := sso.FromSection(section)
		return sso.Session{}, err
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	hint := "add a section [sso-session " + name + "] to " + f.Paths.Config + ", or name a start URL with --start-url"
	if len(names) > 0 {
		hint = "the sessions are " + strings.Join(names, ", ")
	}
	return sso.Session{}, failed("there is no SSO session "+quoted(name), hint)
}

func profileSession(f *awsconfig.Files, name string) (sso.Session, error) {
	// Of a role that is assumed with another profile, it is that one's.
	for range 10 {
		p, ok := f.Profile(name)
		if !ok {
			return sso.Session{}, failed("no profile "+quoted(name)+" in "+f.Paths.Config, "rolecall load lists all profiles")
		}
		if p.Has("sso_session") || p.Has("sso_start_url") {
			return sso.FromProfile(f, p)
		}
		next := p.Text("source_profile")
		if next == "" || next == name {
			break
		}
		name = next
	}
	return sso.Session{}, failed(fmt.Sprintf("the profile %q does not sign in to SSO", name), "it needs sso_session, or sso_start_url and sso_region")
}

// sessionAt is the one of a start URL. The one that the files name is taken, so
// that the profiles that use it are signed in.
func (a *app) sessionAt(all []sso.Session, o sessionFlags) (sso.Session, error) {
	s, err := sso.FromStartURL(o.startURL, o.region)
	if err != nil {
		return sso.Session{}, err
	}
	same := slices.DeleteFunc(slices.Clone(all), func(k sso.Session) bool { return !sso.SameURL(k.StartURL, s.StartURL) || k.Region != s.Region })
	if len(same) > 0 {
		return slices.MinFunc(same, func(x, y sso.Session) int { return cmp.Compare(boolInt(y.Section), boolInt(x.Section)) }), nil
	}
	return s, nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lists are the roles that were found before.
func (a *app) lists() (login.Lists, error) {
	d, err := a.dirs()
	if err != nil {
		return login.Lists{}, err
	}
	return login.NewLists(d.State("roles")), nil
}
