package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/sso"
)

// choices are what the picker offers: the profiles, and the roles of SSO
// sessions that are known from before, those chosen last first. more asks for
// the roles of sessions that have no list yet; nil: there are none.
func (a *app) choices(ctx context.Context, f *awsconfig.Files, profiles []profile) (list []profile, more func(context.Context) []profile) {
	signIns := a.signIns(f, time.Now())
	if st, err := a.status(ctx); err == nil {
		a.markRefused(f, signIns, st.Slots)
	}
	recent := a.recent()
	lists, err := a.lists()
	if err != nil {
		return byRecency(profiles, recent), nil
	}
	profiles = annotate(f, profiles, signIns)
	own := map[string]bool{} // :: source → a profile is for it
	for _, p := range profiles {
		if p.Kind == "sso" {
			own[ssoSource(p.Session, p.Account, p.Role)] = true
		}
	}
	var unlisted []sso.Session
	found := map[string][]profile{}
	entries := func() []profile {
		all := slices.Clone(profiles)
		for _, in := range signIns {
			all = append(all, found[in.Session]...)
		}
		return byRecency(all, recent)
	}
	for _, in := range signIns {
		kept, err := lists.Read(in.session)
		switch {
		case err == nil:
			found[in.Session] = roleEntries(in, roleLines(in.session, kept), own)
			if in.good() && kept.Stale(time.Now()) {
				a.listBehind(in.session)
			}
		case in.good() && errors.Is(err, fs.ErrNotExist):
			unlisted = append(unlisted, in.session)
		}
	}
	if len(unlisted) == 0 {
		return entries(), nil
	}
	return entries(), func(ctx context.Context) []profile {
		for _, s := range unlisted {
			list, err := a.askRoles(ctx, lists, s, nil)
			if err != nil {
				continue // the profiles are there all the same; rolecall roles says why
			}
			i := slices.IndexFunc(signIns, func(in signIn) bool { return in.Session == s.Name })
			found[s.Name] = roleEntries(signIns[i], roleLines(s, list), own)
		}
		if len(found) == 0 {
			return nil
		}
		return entries()
	}
}

// annotate says of profiles whether the session that they need is signed in.
func annotate(f *awsconfig.Files, profiles []profile, signIns []signIn) []profile {
	profiles = slices.Clone(profiles)
	byKey := map[string]signIn{} // :: cache key → sign-in
	for _, in := range signIns {
		byKey[in.session.CacheKey()] = in
	}
	for i := range profiles {
		s, err := profileSession(f, profiles[i].Name)
		if err != nil {
			continue
		}
		if in, ok := byKey[s.CacheKey()]; ok {
			profiles[i].Session, profiles[i].Note = in.Session, in.words()
		}
	}
	return profiles
}

func roleEntries(in signIn, lines []roleLine, own map[string]bool) []profile {
	list := make([]profile, 0, len(lines))
	note, kind := in.words(), "sso "+in.Session
	for _, l := range lines {
		if own[l.Source] {
			continue
		}
		name := l.AccountName
		if name == "" {
			name = l.AccountID
		}
		list = append(list, profile{Name: name + "/" + l.Role, Kind: kind, Account: l.AccountID, Role: l.Role, Source: l.Source, Session: in.Session, Note: note})
	}
	return list
}

// roleSource is the source of --account with --role, or of --arn: a profile for
// it, else the role of an SSO session, else the ARN itself.
func (a *app) roleSource(f *awsconfig.Files, all []profile, o loadOptions) (string, error) {
	account, role, arn := o.account, o.role, o.arn
	if arn != "" {
		account, role = creds.AccountFromARN(arn), creds.RoleNameFromARN(arn)
		if set, ok := permissionSet(role); ok {
			role, arn = set, ""
		}
	}
	if o.session != "" {
		s, err := namedSession(f, a.sessions(f), o.session)
		if err != nil {
			return "", err
		}
		return ssoSource(s.Name, account, role), nil
	}
	found := withRole(all, account, role, arn)
	if len(found) > 1 {
		a.warn(fmt.Sprintf("%d profiles are for this role; %s is taken, the first of them", len(found), found[0].Name), "")
	}
	if len(found) > 0 {
		return found[0].source(), nil
	}
	source, err := a.sessionRole(f, account, role, arn != "")
	switch {
	case err != nil:
		return "", err
	case source != "":
		return source, nil
	case arn != "":
		return "role:" + strings.NewReplacer("%", "%25", "@", "%40").Replace(arn), nil
	}
	return "", failed(fmt.Sprintf("no profile is for the role %s of account %s, and no SSO session is known to have it", role, account),
		"sign in with rolecall login, and look with rolecall roles --refresh; or assume the role with rolecall load --arn ARN")
}

// permissionSet is the name that SSO made a role of: its roles in IAM are called
// AWSReservedSSO_NAME_HASH.
func permissionSet(role string) (string, bool) {
	rest, ok := strings.CutPrefix(role, "AWSReservedSSO_")
	i := strings.LastIndexByte(rest, '_')
	if !ok || i <= 0 {
		return "", false
	}
	return rest[:i], true
}

// sessionRole is the source of a role by what the sessions' lists say; where
// none says anything, and nothing else could be meant (sure is false), of the
// only session there is. "" for none.
func (a *app) sessionRole(f *awsconfig.Files, account, role string, sure bool) (string, error) {
	lists, err := a.lists()
	if err != nil {
		return "", err
	}
	var listed, unlisted []string
	for _, s := range a.sessions(f) {
		list, err := lists.Read(s)
		if err != nil {
			unlisted = append(unlisted, s.Name)
			continue
		}
		for _, found := range list.Accounts {
			if found.ID == account && slices.Contains(found.Roles, role) {
				listed = append(listed, s.Name)
			}
		}
	}
	switch {
	case len(listed) > 1:
		return "", wrongUsage("several SSO sessions have this role: "+strings.Join(listed, ", "), "name one of them with --sso-session "+shellword.Word(listed[0]))
	case len(listed) == 1:
		return ssoSource(listed[0], account, role), nil
	case !sure && len(unlisted) == 1:
		return ssoSource(unlisted[0], account, role), nil
	}
	return "", nil
}
