package source

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	portal "github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	oidctypes "github.com/aws/aws-sdk-go-v2/service/ssooidc/types"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/sso"
)

// SSOService asks the OIDC service and the portal of one SSO session. Errors
// are *usererr.Error without anything that was sent; those of sso wrap in
// them.
type SSOService struct {
	r            *Resolver
	oidc, portal service
	session      sso.Session
	loginHint    string
	changed      func() bool
}

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// portalPage is the most that the portal gives in one answer.
const portalPage = 100

// SSO is the service of a session, with the endpoint settings of its profile.
func (r *Resolver) SSO(session sso.Session) (*SSOService, error) {
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	sc := &scope{files: files}
	if p, ok := files.Profile(session.Profile); ok {
		sc.sections = []*awsconfig.Section{p}
	}
	s := &SSOService{r: r, session: session, loginHint: session.Command()}
	if s.oidc, err = r.service("oidc", session.Region, sc); err != nil {
		return nil, err
	}
	if s.portal, err = r.service("sso", session.Region, sc); err != nil {
		return nil, err
	}
	return s, nil
}

// AuthorizeURL is the page that a browser opens to sign in, without its query.
func (s *SSOService) AuthorizeURL() (string, error) {
	at, err := ssooidc.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), ssooidc.EndpointParameters{
		Region: &s.oidc.region, Endpoint: s.oidc.baseEndpoint(), UseFIPS: &s.oidc.fips, UseDualStack: &s.oidc.dualstack,
	})
	if err != nil {
		return "", s.r.notConfigured("there is no endpoint for SSO in region "+s.oidc.region, "correct sso_region")
	}
	return strings.TrimSuffix(at.URI.String(), "/") + "/authorize", nil
}

// Register makes a client.
func (s *SSOService) Register(ctx context.Context, n sso.NewClient) (sso.Client, error) {
	client, err := s.r.oidcClient(s.oidc)
	if err != nil {
		return sso.Client{}, err
	}
	in := &ssooidc.RegisterClientInput{ClientName: &n.Name, ClientType: aws.String("public"), Scopes: n.Scopes, GrantTypes: n.Grants, RedirectUris: n.Redirects}
	if n.IssuerURL != "" {
		in.IssuerUrl = &n.IssuerURL
	}
	ctx, seen := watch(ctx)
	out, err := client.RegisterClient(ctx, in)
	if err != nil {
		return sso.Client{}, s.oidcFailed("RegisterClient", err, seen)
	}
	c := sso.Client{ID: creds.NewSecret(aws.ToString(out.ClientId)), Secret: creds.NewSecret(aws.ToString(out.ClientSecret)), Expires: time.Unix(out.ClientSecretExpiresAt, 0)}
	if c.ID.IsZero() || c.Secret.IsZero() || out.ClientSecretExpiresAt <= 0 {
		return sso.Client{}, unavailable("sso-oidc answered RegisterClient without a client", "")
	}
	return c, nil
}

// StartDevice begins a sign-in with a code.
func (s *SSOService) StartDevice(ctx context.Context, c sso.Client) (sso.Device, error) {
	client, err := s.r.oidcClient(s.oidc)
	if err != nil {
		return sso.Device{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.StartDeviceAuthorization(ctx, &ssooidc.StartDeviceAuthorizationInput{
		ClientId: aws.String(c.ID.Reveal()), ClientSecret: aws.String(c.Secret.Reveal()), StartUrl: &s.session.StartURL,
	})
	if err != nil {
		return sso.Device{}, s.oidcFailed("StartDeviceAuthorization", err, seen, c.ID, c.Secret)
	}
	d := sso.Device{Code: creds.NewSecret(aws.ToString(out.DeviceCode)), UserCode: aws.ToString(out.UserCode), Page: aws.ToString(out.VerificationUri),
		PageFull: aws.ToString(out.VerificationUriComplete), Expires: time.Duration(out.ExpiresIn) * time.Second, Interval: time.Duration(out.Interval) * time.Second}
	if d.Code.IsZero() || d.UserCode == "" || d.Page == "" || d.Expires <= 0 {
		return sso.Device{}, unavailable("sso-oidc answered StartDeviceAuthorization without a code", "")
	}
	return d, nil
}

// CreateToken trades a grant for a token.
func (s *SSOService) CreateToken(ctx context.Context, c sso.Client, g sso.Grant) (sso.Granted, error) {
	client, err := s.r.oidcClient(s.oidc)
	if err != nil {
		return sso.Granted{}, err
	}
	in := &ssooidc.CreateTokenInput{ClientId: aws.String(c.ID.Reveal()), ClientSecret: aws.String(c.Secret.Reveal())}
	switch {
	case !g.Refresh.IsZero():
		in.GrantType, in.RefreshToken = aws.String(sso.GrantRefresh), aws.String(g.Refresh.Reveal())
	case !g.Code.IsZero():
		in.GrantType, in.Code = aws.String(sso.GrantCode), aws.String(g.Code.Reveal())
		in.RedirectUri, in.CodeVerifier = &g.Redirect, aws.String(g.Verifier.Reveal())
	default:
		in.GrantType, in.DeviceCode = aws.String(deviceGrant), aws.String(g.DeviceCode.Reveal())
	}
	ctx, seen := watch(ctx)
	out, err := client.CreateToken(ctx, in)
	if err != nil {
		return sso.Granted{}, s.oidcFailed("CreateToken", err, seen, c.ID, c.Secret, g.Refresh, g.Code, g.Verifier, g.DeviceCode)
	}
	got := sso.Granted{Access: creds.NewSecret(aws.ToString(out.AccessToken)), Refresh: creds.NewSecret(aws.ToString(out.RefreshToken)),
		Lifetime: time.Duration(out.ExpiresIn) * time.Second, ObservedAt: seen.observed()}
	if got.Access.IsZero() || got.Lifetime <= 0 {
		return sso.Granted{}, unavailable("sso-oidc answered CreateToken without a token", "")
	}
	return got, nil
}

// oidcFailed keeps what the service said to one who waits.
func (s *SSOService) oidcFailed(name string, err error, seen *exchange, secrets ...creds.Secret) error {
	e := operation{name: "sso-oidc " + name, secrets: secrets, loginHint: s.loginHint, deniedHint: s.loginHint, changed: s.changed}.failed(err, seen)
	var (
		pending *oidctypes.AuthorizationPendingException
		slow    *oidctypes.SlowDownException
		expired *oidctypes.ExpiredTokenException
		denied  *oidctypes.AccessDeniedException
		grant   *oidctypes.InvalidGrantException
		client  *oidctypes.InvalidClientException
	)
	for _, known := range []struct {
		is    bool
		means error
	}{
		{errors.As(err, &pending), sso.ErrPending}, {errors.As(err, &slow), sso.ErrSlowDown}, {errors.As(err, &expired), sso.ErrExpired},
		{errors.As(err, &denied), sso.ErrDenied}, {errors.As(err, &grant), sso.ErrInvalidGrant}, {errors.As(err, &client), sso.ErrInvalidClient},
	} {
		if known.is {
			e.Err = errors.Join(known.means, e.Err)
		}
	}
	return e
}

// ListAccounts gives one page of the accounts, without their roles.
func (s *SSOService) ListAccounts(ctx context.Context, token creds.Secret, page string) (accounts []sso.Account, next string, err error) {
	client, err := s.r.ssoClient(s.portal)
	if err != nil {
		return nil, "", err
	}
	ctx, seen := watch(ctx)
	in := &portal.ListAccountsInput{AccessToken: aws.String(token.Reveal()), MaxResults: aws.Int32(portalPage)}
	if page != "" {
		in.NextToken = &page
	}
	out, err := client.ListAccounts(ctx, in)
	if err != nil {
		return nil, "", s.portalFailed("ListAccounts", "", err, seen, token)
	}
	for _, a := range out.AccountList {
		accounts = append(accounts, sso.Account{ID: aws.ToString(a.AccountId), Name: aws.ToString(a.AccountName), Email: aws.ToString(a.EmailAddress)})
	}
	return accounts, aws.ToString(out.NextToken), nil
}

// ListRoles gives one page of the names of an account's roles.
func (s *SSOService) ListRoles(ctx context.Context, token creds.Secret, account, page string) (roles []string, next string, err error) {
	client, err := s.r.ssoClient(s.portal)
	if err != nil {
		return nil, "", err
	}
	ctx, seen := watch(ctx)
	in := &portal.ListAccountRolesInput{AccessToken: aws.String(token.Reveal()), AccountId: &account, MaxResults: aws.Int32(portalPage)}
	if page != "" {
		in.NextToken = &page
	}
	out, err := client.ListAccountRoles(ctx, in)
	if err != nil {
		return nil, "", s.portalFailed("ListAccountRoles", "account "+account, err, seen, token)
	}
	for _, role := range out.RoleList {
		roles = append(roles, aws.ToString(role.RoleName))
	}
	return roles, aws.ToString(out.NextToken), nil
}

// Logout ends the token at the service.
func (s *SSOService) Logout(ctx context.Context, token creds.Secret) error {
	client, err := s.r.ssoClient(s.portal)
	if err != nil {
		return err
	}
	ctx, seen := watch(ctx)
	if _, err = client.Logout(ctx, &portal.LogoutInput{AccessToken: aws.String(token.Reveal())}); err != nil {
		return s.portalFailed("Logout", "", err, seen, token)
	}
	return nil
}

func (s *SSOService) portalFailed(name, subject string, err error, seen *exchange, token creds.Secret) error {
	return operation{name: "sso " + name, subject: subject, secrets: []creds.Secret{token}, loginHint: s.loginHint, changed: s.changed}.failed(err, seen)
}

// SSOToken is a session's access token, refreshed where it has ended. rejected
// is one that the portal did not take; zero: none. Errors are login_required
// where a person has to sign in.
func (r *Resolver) SSOToken(ctx context.Context, session sso.Session, rejected creds.Secret) (creds.Secret, error) {
	s, err := r.SSO(session)
	if err != nil {
		return creds.Secret{}, err
	}
	cache, err := sso.NewCache(r.cfg.Home)
	if err != nil {
		return creds.Secret{}, r.notConfigured(err.Error(), hintOf(err))
	}
	t := &ssoToken{r: r, cache: cache, session: session, path: cache.TokenPath(session), oidc: s.oidc, loginHint: s.loginHint,
		changed: fileChanged(cache.TokenPath(session))}
	return t.get(ctx, rejected)
}
