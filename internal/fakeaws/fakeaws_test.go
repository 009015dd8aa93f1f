package fakeaws_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"rolecall/internal/fakeaws"
)

const roleX = "arn:aws:iam::111122223333:role/path/x"

// clock is a settable time.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func start(t *testing.T, cfg fakeaws.Config) *fakeaws.Server {
	t.Helper()
	s, err := fakeaws.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

type staticKeys aws.Credentials

func (k staticKeys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials(k), nil
}

func sdkConfig(s *fakeaws.Server, id, secret, token string) aws.Config {
	url := s.URL()
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &url, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: staticKeys{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token},
		HTTPClient:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}},
	}
}

func baseSTS(s *fakeaws.Server) *sts.Client {
	id, secret := s.BaseUser()
	return sts.NewFromConfig(sdkConfig(s, id, secret, ""))
}

func stsWith(s *fakeaws.Server, id, secret, token string) *sts.Client {
	return sts.NewFromConfig(sdkConfig(s, id, secret, token))
}

func portal(s *fakeaws.Server) *sso.Client    { return sso.NewFromConfig(sdkConfig(s, "", "", "")) }
func oidc(s *fakeaws.Server) *ssooidc.Client  { return ssooidc.NewFromConfig(sdkConfig(s, "", "", "")) }
func assume(role string) *sts.AssumeRoleInput { return assumeFor(role, nil) }
func str(s string) *string                    { return &s }

func assumeFor(role string, seconds *int32) *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: str("me@here"), DurationSeconds: seconds}
}

// wantCode fails unless err is AWS's error code; "" wants no error.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	switch {
	case code == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case code != "" && !errors.As(err, &api):
		t.Errorf("error %v, want %s", err, code)
	case code != "" && api.ErrorCode() != code:
		t.Errorf("error code %s (%v), want %s", api.ErrorCode(), err, code)
	}
}
