package source

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/creds"
)

// AssumeRoleName is like AssumeRole with the name of a role, with or without
// its path, in the account and partition of what base gives. Where base does
// not say which those are, sts:GetCallerIdentity is asked.
func (r *Resolver) AssumeRoleName(name string, base creds.Provider, region string) (*Source, error) {
	if !validRoleName(name) {
		return nil, badText(fmt.Sprintf("%q is not the name of a role", name), "a name has letters, digits and _+=,.@-")
	}
	label := "the source of role " + name
	resolve := func() (*link, error) {
		region := firstOf(region, r.region(nil))
		// The partition is known with the base's identity only; where no region
		// is given, the bucket for limits is that of the usual partition.
		svc, err := r.service("sts", firstOf(region, mainRegion("")), nil)
		if err != nil {
			return nil, err
		}
		provider := creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
			c, err := checked(base, label).Retrieve(ctx)
			if err != nil {
				return creds.Credentials{}, err
			}
			arn, err := r.roleInAccountOf(ctx, c, name, svc)
			if err != nil {
				return creds.Credentials{}, err
			}
			same := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { return c, nil })
			l, err := r.assumeLink(arn, &link{provider: same, region: region, timeout: callTimeout}, nil, nil)
			if err != nil {
				return creds.Credentials{}, err
			}
			return l.provider.Retrieve(ctx)
		})
		return &link{provider: provider, region: region, upstream: svc.upstream(), timeout: callTimeout, key: []string{svc.key()}}, nil
	}
	l, err := resolve()
	if err != nil {
		return nil, err
	}
	return r.source(kindRole+":"+name, kindRole, l, resolve), nil
}

// roleInAccountOf makes the role's ARN in the account that c belongs to.
func (r *Resolver) roleInAccountOf(ctx context.Context, c creds.Credentials, name string, svc service) (string, error) {
	arn, account := c.RoleARN, c.AccountID
	if account == "" {
		account = creds.AccountFromARN(arn)
	}
	if account == "" {
		client, err := r.stsClient(svc, c)
		if err != nil {
			return "", err
		}
		ctx, seen := watch(ctx)
		out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", operation{name: "sts GetCallerIdentity", secrets: []creds.Secret{c.SecretAccessKey, c.SessionToken},
				loginHint: "renew the credentials of the slot the role is assumed from"}.failed(err, seen)
		}
		arn = aws.ToString(out.Arn)
		if account = creds.AccountFromARN(arn); account == "" {
			return "", unavailable("sts GetCallerIdentity was answered without an account", "")
		}
	}
	p := partition(arn)
	if p == "" {
		p = partitionOf(svc.region)
	}
	made := fmt.Sprintf("arn:%s:iam::%s:role/%s", p, account, name)
	return made, checkRoleARN(made)
}

// partition is the second part of an ARN, or "".
func partition(arn string) string {
	parts := strings.SplitN(arn, ":", 3)
	if len(parts) < 3 || parts[0] != "arn" {
		return ""
	}
	return parts[1]
}

// partitionOf is the partition a region belongs to.
func partitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
