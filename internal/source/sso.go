package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/sso/types"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
)

// ssoSettings is where a profile signs in, with sso_session or the older keys
// in the profile itself.
type ssoSettings struct {
	region, startURL string
	cacheKey         string // what the token's file is named after
}

// ssoLink is a permission set of a person who signed in with `aws sso login`.
func (r *Resolver) ssoLink(s *awsconfig.Section, sc *scope) (*link, error) {
	settings, err := r.ssoSettings(s, sc.files)
	if err != nil {
		return nil, err
	}
	p := &ssoRole{r: r, label: fmt.Sprintf("profile %q", s.Name), account: s.Text("sso_account_id"), role: s.Text("sso_role_name")}
	for _, key := range []string{"sso_account_id", "sso_role_name"} {
		if s.Text(key) == "" {
			return nil, r.notConfigured(fmt.Sprintf("profile %q (%s:%d) signs in to SSO but has no %s", s.Name, s.File, s.Line, key), "add "+key)
		}
	}
	if p.portal, err = r.service("sso", settings.region, sc); err != nil {
		return nil, err
	}
	oidc, err := r.service("oidc", settings.region, sc)
	if err != nil {
		return nil, err
	}
	path, err := r.ssoCachePath(settings.cacheKey)
	if err != nil {
		return nil, err
	}
	p.token = &ssoToken{r: r, path: path, oidc: oidc, loginHint: "aws sso login --profile " + shellWord(s.Name)}
	return &link{
		provider: p,
		upstream: p.portal.upstream(),
		timeout:  callTimeout,
		key:      []string{fmt.Sprintf("sso=%s %s %s %s", settings.cacheKey, settings.startURL, p.account, p.role), p.portal.key(), oidc.key()},
	}, nil
}

func (r *Resolver) ssoSettings(s *awsconfig.Section, files *awsconfig.Files) (ssoSettings, error) {
	from, where := s, fmt.Sprintf("profile %q (%s:%d)", s.Name, s.File, s.Line)
	name, has := s.Get("sso_session")
	if has && name.Text != "" {
		session, ok := files.SSOSession(name.Text)
		if !ok {
			return ssoSettings{}, r.notConfigured(fmt.Sprintf("%s no section [sso-session %s] in %s", at(name), name.Text, files.Paths.Config), "add the section, or run `aws configure sso`")
		}
		from, where = session, fmt.Sprintf("[sso-session %s] (%s:%d)", session.Name, session.File, session.Line)
	}
	for _, key := range []string{"sso_region", "sso_start_url"} {
		if from.Text(key) == "" {
			return ssoSettings{}, r.notConfigured(where+" has no "+key, "add "+key)
		}
		if v, ok := s.Get(key); ok && v.Text != "" && v.Text != from.Text(key) {
			return ssoSettings{}, r.notConfigured(fmt.Sprintf("%s %s differs from that of [sso-session %s]", at(v), key, name.Text), "remove it from the profile")
		}
	}
	settings := ssoSettings{region: from.Text("sso_region"), startURL: from.Text("sso_start_url")}
	settings.cacheKey = settings.startURL
	if from != s {
		settings.cacheKey = name.Text
	}
	return settings, nil
}

// ssoRole is the provider of a permission set's credentials.
type ssoRole struct {
	r                    *Resolver
	label, account, role string
	portal               service
	token                *ssoToken
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
// *creds.RetrieveError.
func (p *ssoRole) roleCredentials(ctx context.Context, token creds.Secret) (creds.Credentials, error) {
	client, err := p.r.ssoClient(p.portal)
	if err != nil {
		return creds.Credentials{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.GetRoleCredentials(ctx, &sso.GetRoleCredentialsInput{
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
			deniedHint: "ask for the permission set, or correct sso_account_id and sso_role_name of " + p.label,
			changed:    fileChanged(p.token.path),
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
