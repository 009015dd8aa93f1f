package roles

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Role is what IAM tells of a role.
type Role struct {
	Name        Name
	ARN         string
	Trust       string // the policy's JSON
	Description string
	MaxSession  time.Duration
	Boundary    string // ARN; "" for none
	Tags        map[string]string
	Created     time.Time
	LastUsed    time.Time // zero: not within IAM's tracking period
	LastRegion  string
	Attached    []string          // ARNs of managed policies, sorted
	Inline      map[string]string // :: name → JSON
}

// role reads the role by name, nil when there is none. Its path is IAM's, which
// may be another than n's.
func (a *Account) role(ctx context.Context, n Name) (*Role, error) {
	out, err := a.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &n.Name})
	if missing(err) {
		a.reads.add(may("iam:GetRole", a.arn("iam", "role/"+n.Name))) // what is not there has no path
		return nil, nil
	}
	if err != nil {
		return nil, a.failure("iam:GetRole", "the role "+n.String(), err)
	}
	r := out.Role
	a.reads.add(may("iam:GetRole", aws.ToString(r.Arn))) // its path may be another than n's
	role := &Role{Name: Name{aws.ToString(r.Path), aws.ToString(r.RoleName)}, ARN: aws.ToString(r.Arn), Trust: decoded(aws.ToString(r.AssumeRolePolicyDocument)),
		Description: aws.ToString(r.Description), MaxSession: time.Duration(aws.ToInt32(r.MaxSessionDuration)) * time.Second,
		Tags: tagMap(r.Tags), Created: aws.ToTime(r.CreateDate), Inline: map[string]string{}}
	if r.PermissionsBoundary != nil {
		role.Boundary = aws.ToString(r.PermissionsBoundary.PermissionsBoundaryArn)
	}
	if r.RoleLastUsed != nil {
		role.LastUsed, role.LastRegion = aws.ToTime(r.RoleLastUsed.LastUsedDate), aws.ToString(r.RoleLastUsed.Region)
	}
	return role, nil
}

// needRole reads a role that has to be there.
func (a *Account) needRole(ctx context.Context, n Name) (*Role, error) {
	r, err := a.role(ctx, n)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, &Error{Msg: "there is no role " + n.Name + " in the account " + a.ID, Next: "rolecall role create " + n.String() + " --for ec2", Code: "NoSuchEntity"}
	case n.Path != "/" && n.Path != r.Name.Path:
		return nil, &Error{Msg: "the role " + n.Name + " has the path " + r.Name.Path + ", and not " + n.Path, Next: "write " + r.Name.String()}
	}
	return r, nil
}

// policies reads what is attached to the role, and what is in it.
func (a *Account) policies(ctx context.Context, r *Role) error {
	a.reads.add(may("iam:ListAttachedRolePolicies", r.ARN), may("iam:ListRolePolicies", r.ARN))
	attached := iam.NewListAttachedRolePoliciesPaginator(a.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &r.Name.Name})
	for attached.HasMorePages() {
		page, err := attached.NextPage(ctx)
		if err != nil {
			return a.failure("iam:ListAttachedRolePolicies", "the role "+r.Name.Name, err)
		}
		for _, p := range page.AttachedPolicies {
			r.Attached = append(r.Attached, aws.ToString(p.PolicyArn))
		}
	}
	slices.Sort(r.Attached)
	inline := iam.NewListRolePoliciesPaginator(a.iam, &iam.ListRolePoliciesInput{RoleName: &r.Name.Name})
	for inline.HasMorePages() {
		page, err := inline.NextPage(ctx)
		if err != nil {
			return a.failure("iam:ListRolePolicies", "the role "+r.Name.Name, err)
		}
		for _, name := range page.PolicyNames {
			r.Inline[name] = ""
		}
	}
	for name := range r.Inline {
		a.reads.add(may("iam:GetRolePolicy", r.ARN))
		out, err := a.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &r.Name.Name, PolicyName: &name})
		if missing(err) {
			delete(r.Inline, name)
			continue
		}
		if err != nil {
			return a.failure("iam:GetRolePolicy", "the role "+r.Name.Name, err)
		}
		r.Inline[name] = decoded(aws.ToString(out.PolicyDocument))
	}
	return nil
}

// policyThere fails where a managed policy does not exist.
func (a *Account) policyThere(ctx context.Context, arn string) error {
	a.reads.add(may("iam:GetPolicy", arn))
	_, err := a.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if missing(err) {
		return &Error{Msg: "there is no policy " + arn, Next: "look for it with: aws iam list-policies --query 'Policies[].Arn'", Code: "NoSuchEntity", Err: err}
	}
	return a.failure("iam:GetPolicy", "the policy "+arn, err)
}

// profile is an instance profile.
type profile struct {
	name  Name
	arn   string
	roles []string // names: none or one
}

func profileOf(p *types.InstanceProfile) *profile {
	out := &profile{name: Name{aws.ToString(p.Path), aws.ToString(p.InstanceProfileName)}, arn: aws.ToString(p.Arn)}
	for _, r := range p.Roles {
		out.roles = append(out.roles, aws.ToString(r.RoleName))
	}
	return out
}

func (p *profile) holds(role string) bool { return slices.Contains(p.roles, role) }

// profile reads an instance profile, nil when there is none.
func (a *Account) profile(ctx context.Context, n Name) (*profile, error) {
	out, err := a.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &n.Name})
	if missing(err) {
		a.reads.add(may("iam:GetInstanceProfile", a.arn("iam", "instance-profile/"+n.Name)))
		return nil, nil
	}
	if err != nil {
		return nil, a.failure("iam:GetInstanceProfile", "the instance profile "+n.Name, err)
	}
	a.reads.add(may("iam:GetInstanceProfile", aws.ToString(out.InstanceProfile.Arn)))
	return profileOf(out.InstanceProfile), nil
}

// profilesOf are the instance profiles that hold the role, by name.
func (a *Account) profilesOf(ctx context.Context, r *Role) (all []*profile, err error) {
	a.reads.add(may("iam:ListInstanceProfilesForRole", r.ARN))
	pages := iam.NewListInstanceProfilesForRolePaginator(a.iam, &iam.ListInstanceProfilesForRoleInput{RoleName: &r.Name.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, a.failure("iam:ListInstanceProfilesForRole", "the role "+r.Name.Name, err)
		}
		for i := range page.InstanceProfiles {
			all = append(all, profileOf(&page.InstanceProfiles[i]))
		}
	}
	slices.SortFunc(all, func(x, y *profile) int { return compareText(x.name.Name, y.name.Name) })
	return all, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func tagMap(tags []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

// tagList is sorted by key.
func tagList(m map[string]string) (tags []types.Tag) {
	for _, key := range sortedKeys(m) {
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(m[key])})
	}
	return tags
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
