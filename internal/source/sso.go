package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	portal "github.com/aws/aws-sdk-go-v2/service/sso"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/sso"
)

// ssoLink is a permission set of a person who signed in to SSO.
func (r *Resolver) ssoLink(s *awsconfig.Section, sc *scope) (*link, error) {
	session, err := sso.FromProfile(sc.files, s)
	if err != nil {
		return nil, r.notConfigured(err.Error(), hintOf(err))
	}
	for _, key := range []string{"sso_account_id", "sso_role_name"} {
		if s.Text(key) == "" {
			return nil, r.notConfigured(fmt.Sprintf("profile %q (%s:%d) signs in to SSO but has no %s", s.Name, s.File, s.Line, key), "add "+key)
		}
	}
	p := &ssoRole{r: r, account: s.Text("sso_account_id"), role: s.Text("sso_role_name"),
		label: fmt.Sprintf("profile %q", s.Name), settings: fmt.Sprintf("sso_account_id and sso_role_name of profile %q", s.Name)}
	return r.ssoRoleLink(session, p, "rolecall login "+shellword.Word(s.Name), sc)
}

// sessionLink is the source sso:SESSION/ACCOUNT/ROLE.
func (r *Resolver) sessionLink(text string) (*link, error) {
	name, account, role := splitSSO(text)
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	session, err := r.findSession(files, name)
	if err != nil {
		return nil, err
	}
	p := &ssoRole{r: r, account: account, role: role, label: "sso:" + text, settings: "the account and the role"}
	sc := &scope{files: files}
	if s, ok := files.Profile(session.Profile); ok {
		sc.sections = []*awsconfig.Section{s}
	}
	l, err := r.ssoRoleLink(session, p, session.Command(), sc)
	if err == nil {
		l.region = r.region(sc)
	}
	return l, err
}

// findSession is the SSO session of that name.
func (r *Resolver) findSession(files *awsconfig.Files, name string) (sso.Session, error) {
	all := sso.Sessions(files, sso.ReadFurther(r.cfg.SSOSessions))
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	if section, ok := files.SSOSession(name); ok { // it is there, and something is missing
		if _, err := sso.FromSection(section); err != nil {
			return sso.Session{}, r.notConfigured(err.Error(), hintOf(err))
		}
	}
	hint := fmt.Sprintf("add a section [sso-session %s] to %s, or sign in with rolecall login --start-url URL --region REGION", name, files.Paths.Config)
	if near := nearest(name, names); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	} else if len(names) > 0 {
		hint = "the sessions are " + strings.Join(names, ", ")
	}
	return sso.Session{}, r.notConfigured(fmt.Sprintf("no SSO session %q", name), hint)
}

// ssoRoleLink is p, with the token and the services of its session.
func (r *Resolver) ssoRoleLink(session sso.Session, p *ssoRole, loginHint string, sc *scope) (*link, error) {
	var err error
	if p.portal, err = r.service("sso", session.Region, sc); err != nil {
		return nil, err
	}
	oidc, err := r.service("oidc", session.Region, sc)
	if err != nil {
		return nil, err
	}
	cache, err := sso.NewCache(r.cfg.Home)
	if err != nil {
		return nil, r.notConfigured(err.Error(), hintOf(err))
	}
	p.token = &ssoToken{r: r, cache: cache, session: session, path: cache.TokenPath(session), oidc: oidc, loginHint: loginHint,
		changed: fileChanged(cache.TokenPath(session))}
	return &link{
		provider: p,
		upstream: p.portal.upstream(),
		timeout:  callTimeout,
		signIns:  []func() (SignIn, bool){p.token.signIn},
		key:      []string{fmt.Sprintf("sso=%s %s %s %s", session.CacheKey(), session.StartURL, p.account, p.role), p.portal.key(), oidc.key()},
	}, nil
}

// hintOf is what an error says to do.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// ssoRole is the provider of a permission set's credentials.
type ssoRole struct {
	r             *Resolver
	account, role string
	label         string // of the source, in messages
	settings      string // what to correct where the role is refused
	portal        service
	token         *ssoToken
}

// Retrieve calls sso:GetRoleCredentials. A token that the portal no longer
// takes is replaced once, by what another process has cached meanwhile or by a
// refresh, before a person is asked to sign in.
func (p *ssoRole) Retrieve(ctx context.Context) (creds.Credentials, error) {
	token, err := p.token.get(ctx, creds.Secret{})
	if err != nil {
		return creds.Credentials{}, err
	}
	c, err := p.roleCredentials(ctx, token)
	var rejected *ssotypes.UnauthorizedException
	if !errors.As(err, &rejected) {
		return c, err
	}
	if token, err = p.token.get(ctx, token); err != nil {
		return creds.Credentials{}, err
	}
	c, err = p.roleCredentials(ctx, token)
	if errors.As(err, &rejected) {
		return creds.Credentials{}, p.token.loginRequired("the SSO portal does not take the token", nil)
	}
	return c, err
}

// roleCredentials returns *UnauthorizedException as it is, other failures as
// *usererr.Error.
func (p *ssoRole) roleCredentials(ctx context.Context, token creds.Secret) (creds.Credentials, error) {
	client, err := p.r.ssoClient(p.portal)
	if err != nil {
		return creds.Credentials{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.GetRoleCredentials(ctx, &portal.GetRoleCredentialsInput{
		AccessToken: aws.String(token.Reveal()), AccountId: &p.account, RoleName: &p.role,
	})
	var rejected *ssotypes.UnauthorizedException
	if errors.As(err, &rejected) {
		return creds.Credentials{}, rejected
	}
	if err != nil {
		return creds.Credentials{}, operation{
			name:       "sso GetRoleCredentials",
			subject:    fmt.Sprintf("%s in account %s", p.role, p.account),
			secrets:    []creds.Secret{token},
			loginHint:  p.token.loginHint,
			deniedHint: "ask for the permission set, or correct " + p.settings,
			changed:    p.token.changed,
		}.failed(err, seen)
	}
	c := out.RoleCredentials
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "" || c.Expiration <= 0 {
		return creds.Credentials{}, unavailable("sso answered without keys for "+p.label, "")
	}
	return creds.Credentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: creds.NewSecret(*c.SecretAccessKey),
		SessionToken:    creds.NewSecret(*c.SessionToken),
		Expires:         time.UnixMilli(c.Expiration).UTC(),
		AccountID:       p.account,
		RoleName:        p.role,
		ObservedAt:      seen.observed(),
	}, nil
}
