package source

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithymiddleware "github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// maxAttempts of one call. A second one heals a connection that was cut or a
// single 5xx; more is for whoever calls Retrieve.
const maxAttempts = 2

// newRetryer tries once more after a broken connection, a bare 5xx and a clock
// that turned out to be wrong. It does not after a time-out (the upstream is
// slow already) or where the upstream asks for fewer requests.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = 250 * time.Millisecond
		o.RateLimiter = ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.IsErrorRetryableFunc(hopeless),
			retry.RetryableError{},
			retry.RetryableConnectionError{},
			retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{500: {}, 502: {}, 503: {}, 504: {}}},
		}
	})
}

func hopeless(err error) aws.Ternary {
	var timeout net.Error
	var answer *smithyhttp.ResponseError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, errTooLarge), throttling(apiCode(err)):
		return aws.FalseTernary
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.Header.Get("Retry-After") != "":
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

func (r *Resolver) apiOptions() []func(*smithymiddleware.Stack) error {
	name, version, ok := strings.Cut(r.cfg.UserAgent, "/")
	if !ok {
		return []func(*smithymiddleware.Stack) error{middleware.AddUserAgentKey(name)}
	}
	return []func(*smithymiddleware.Stack) error{middleware.AddUserAgentKeyValue(name, version)}
}

// httpClient is the one for AWS services, or why there is none.
func (r *Resolver) httpClient() (*http.Client, error) {
	if r.tlsErr != nil {
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: r.tlsErr.Error(), Hint: "correct AWS_CA_BUNDLE and start again", Err: r.tlsErr}
	}
	return r.aws, nil
}

func (s service) baseEndpoint() *string {
	if s.endpoint == "" {
		return nil
	}
	return &s.endpoint
}

func (s service) fipsState() aws.FIPSEndpointState {
	if s.fips {
		return aws.FIPSEndpointStateEnabled
	}
	return aws.FIPSEndpointStateDisabled
}

func (s service) dualStackState() aws.DualStackEndpointState {
	if s.dualstack {
		return aws.DualStackEndpointStateEnabled
	}
	return aws.DualStackEndpointStateDisabled
}

// stsClient signs with c; the zero Credentials make unsigned calls.
func (r *Resolver) stsClient(s service, c creds.Credentials) (*sts.Client, error) {
	client, err := r.httpClient()
	if err != nil {
		return nil, err
	}
	var signer aws.CredentialsProvider = aws.AnonymousCredentials{}
	if c.AccessKeyID != "" {
		signer = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal())
	}
	return sts.New(sts.Options{
		Region: s.region, BaseEndpoint: s.baseEndpoint(), Credentials: signer, HTTPClient: client, Retryer: newRetryer(), APIOptions: r.apiOptions(),
		EndpointOptions: sts.EndpointResolverOptions{UseFIPSEndpoint: s.fipsState(), UseDualStackEndpoint: s.dualStackState()},
	}), nil
}

func (r *Resolver) ssoClient(s service) (*sso.Client, error) {
	client, err := r.httpClient()
	if err != nil {
		return nil, err
	}
	return sso.New(sso.Options{
		Region: s.region, BaseEndpoint: s.baseEndpoint(), HTTPClient: client, Retryer: newRetryer(), APIOptions: r.apiOptions(),
		EndpointOptions: sso.EndpointResolverOptions{UseFIPSEndpoint: s.fipsState(), UseDualStackEndpoint: s.dualStackState()},
	}), nil
}

func (r *Resolver) oidcClient(s service) (*ssooidc.Client, error) {
	client, err := r.httpClient()
	if err != nil {
		return nil, err
	}
	return ssooidc.New(ssooidc.Options{
		Region: s.region, BaseEndpoint: s.baseEndpoint(), HTTPClient: client, Retryer: newRetryer(), APIOptions: r.apiOptions(),
		EndpointOptions: ssooidc.EndpointResolverOptions{UseFIPSEndpoint: s.fipsState(), UseDualStackEndpoint: s.dualStackState()},
	}), nil
}

func (r *Resolver) signinClient(s service) (*signin.Client, error) {
	client, err := r.httpClient()
	if err != nil {
		return nil, err
	}
	return signin.New(signin.Options{
		Region: s.region, BaseEndpoint: s.baseEndpoint(), HTTPClient: client, Retryer: newRetryer(), APIOptions: r.apiOptions(),
		EndpointOptions: signin.EndpointResolverOptions{UseFIPSEndpoint: s.fipsState(), UseDualStackEndpoint: s.dualStackState()},
	}), nil
}
