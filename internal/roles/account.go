// Package roles sets IAM roles up for programs on EC2 and ECS: it looks at what
// is there, computes a plan of the API calls that are missing, carries the plan
// out with the waits that IAM's eventual consistency needs, and checks that
// credentials can arrive. A plan is a value: what is printed beforehand is what
// is executed. It knows no flags and no terminal.
package roles

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithymiddleware "github.com/aws/smithy-go/middleware"

	"rolecall/internal/creds"
)

// Config says as whom, and where, an account is worked on.
type Config struct {
	// Credentials of the caller. Needed.
	Credentials creds.Provider
	// Region of instances and clusters. Empty: only IAM can be asked, in the
	// partition aws.
	Region string
	// HTTPClient makes the calls. Nil: the SDK's own.
	HTTPClient *http.Client
	// Endpoint says where a service (iam, ec2, ecs, sts) is asked. Nil: where
	// the SDK asks it.
	Endpoint func(service string) (Endpoint, error)
	// UserAgent is added to the SDK's. Empty: "rolecall".
	UserAgent string
	// Patience is how long one wait for AWS to settle may take, e.g. until EC2
	// knows a new instance profile. Zero: 2 min.
	Patience time.Duration
	// Rollout is how long a service may take to run a new revision. Zero: 15 min.
	Rollout time.Duration
	// FirstPause is the first pause between two looks of a wait. Zero: 250 ms.
	FirstPause time.Duration
	// Attempts of one call that AWS throttles or fails with 5xx. Zero: 6.
	Attempts int
	// Progress is told what happens, from the goroutine of the call. Nil: nobody.
	Progress func(Event)
}

// Endpoint is where a service is asked.
type Endpoint struct {
	Base      *string // nil: the SDK's for the region
	FIPS      aws.FIPSEndpointState
	DualStack aws.DualStackEndpointState
}

// Event is a piece of progress.
type Event struct {
	Step, Of int    // 1-based; 0 outside of a plan
	Text     string // of the step
	State    string // begin, wait, done; again: AWS gave no answer, and is asked again
	Detail   string // of a wait: what is seen now; of again: why
	Elapsed  time.Duration
}

// Account is an AWS account as the caller sees it. One goroutine uses it at a
// time.
type Account struct {
	ID        string // 12 digits
	Partition string // aws, aws-cn, aws-us-gov, …
	Region    string // "": none
	CallerARN string

	cfg Config
	iam *iam.Client
	ec2 *ec2.Client
	ecs *ecs.Client

	reads    permissions // what was asked so far, for the smallest policy
	throttle *throttleCount
	retry    retries
}

// Open asks STS who the caller is.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	cfg.Patience = orDuration(cfg.Patience, 2*time.Minute)
	cfg.Rollout = orDuration(cfg.Rollout, 15*time.Minute)
	cfg.FirstPause = orDuration(cfg.FirstPause, 250*time.Millisecond)
	if cfg.Attempts == 0 {
		cfg.Attempts = 6
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "rolecall"
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Event) {}
	}
	a := &Account{Region: cfg.Region, cfg: cfg, throttle: &throttleCount{}}
	clients, err := a.connect()
	if err != nil {
		return nil, err
	}
	who, err := clients.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, a.failure("sts:GetCallerIdentity", "", err)
	}
	a.ID, a.CallerARN = aws.ToString(who.Account), aws.ToString(who.Arn)
	a.Partition = partitionOf(a.CallerARN)
	return a, nil
}

// connect makes the clients, and returns that of STS.
func (a *Account) connect() (*sts.Client, error) {
	ends := map[string]Endpoint{}
	for _, name := range []string{"iam", "ec2", "ecs", "sts"} {
		if a.cfg.Endpoint == nil {
			continue
		}
		e, err := a.cfg.Endpoint(name)
		if err != nil {
			return nil, err
		}
		ends[name] = e
	}
	region := a.cfg.Region
	if region == "" {
		region = "us-east-1"
	}
	var client aws.HTTPClient
	if a.cfg.HTTPClient != nil {
		client = a.cfg.HTTPClient
	}
	signer := aws.NewCredentialsCache(signer{a.cfg.Credentials})
	a.retry = a.retries()
	options := []func(*smithymiddleware.Stack) error{middleware.AddUserAgentKey(a.cfg.UserAgent)}
	e := ends["iam"]
	a.iam = iam.New(iam.Options{Region: region, BaseEndpoint: e.Base, Credentials: signer, HTTPClient: client, Retryer: a.retry, APIOptions: options,
		EndpointOptions: iam.EndpointResolverOptions{UseFIPSEndpoint: e.FIPS, UseDualStackEndpoint: e.DualStack}})
	e = ends["ec2"]
	a.ec2 = ec2.New(ec2.Options{Region: region, BaseEndpoint: e.Base, Credentials: signer, HTTPClient: client, Retryer: a.retry, APIOptions: options,
		EndpointOptions: ec2.EndpointResolverOptions{UseFIPSEndpoint: e.FIPS, UseDualStackEndpoint: e.DualStack}})
	e = ends["ecs"]
	a.ecs = ecs.New(ecs.Options{Region: region, BaseEndpoint: e.Base, Credentials: signer, HTTPClient: client, Retryer: a.retry, APIOptions: options,
		EndpointOptions: ecs.EndpointResolverOptions{UseFIPSEndpoint: e.FIPS, UseDualStackEndpoint: e.DualStack}})
	e = ends["sts"]
	return sts.New(sts.Options{Region: region, BaseEndpoint: e.Base, Credentials: signer, HTTPClient: client, Retryer: a.retry, APIOptions: options,
		EndpointOptions: sts.EndpointResolverOptions{UseFIPSEndpoint: e.FIPS, UseDualStackEndpoint: e.DualStack}}), nil
}

// signer gives the SDK the caller's credentials.
type signer struct{ from creds.Provider }

func (s signer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := s.from.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
		CanExpire: c.CanExpire(), Expires: c.Expires}, nil
}

// throttleCount is how often AWS asked for fewer requests.
type throttleCount struct {
	mu sync.Mutex
	n  int
}

func (t *throttleCount) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *throttleCount) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// needsRegion is the error of work on instances and clusters without a region.
func (a *Account) needsRegion() error {
	if a.Region != "" {
		return nil
	}
	return &Error{Msg: "no region is known, and instances and clusters are in one", Next: "name it with --region, e.g. --region eu-west-1"}
}

func orDuration(d, usual time.Duration) time.Duration {
	if d == 0 {
		return usual
	}
	return d
}

func partitionOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 3); len(parts) == 3 && strings.HasPrefix(parts[1], "aws") {
		return parts[1]
	}
	return "aws"
}
