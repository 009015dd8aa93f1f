package source

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
)

// Identity is who AWS takes the holder of credentials for.
type Identity struct {
	ARN     string // "arn:aws:sts::123456789012:assumed-role/dev/session"
	Account string // twelve digits
}

// CallerIdentity asks STS, at the endpoint that s's profile and the environment
// name, whose c are. Every principal may ask that. Errors are
// *usererr.Error.
func (r *Resolver) CallerIdentity(ctx context.Context, s *Source, c creds.Credentials) (Identity, error) {
	var sc *scope
	if s.Profile != "" {
		files, err := r.files()
		if err != nil {
			return Identity{}, err
		}
		section, _ := files.Profile(s.Profile)
		sc = &scope{files, []*awsconfig.Section{section}}
	}
	svc, err := r.service("sts", firstOf(s.Region, mainRegion(c.RoleARN)), sc)
	if err != nil {
		return Identity{}, err
	}
	client, err := r.stsClient(svc, c)
	if err != nil {
		return Identity{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, operation{
			name:       "sts GetCallerIdentity",
			secrets:    []creds.Secret{c.SecretAccessKey, c.SessionToken},
			loginHint:  "the keys have ended: renew them",
			deniedHint: "the keys are of no user, or have been deactivated",
		}.failed(err, seen)
	}
	return Identity{ARN: aws.ToString(out.Arn), Account: aws.ToString(out.Account)}, nil
}
