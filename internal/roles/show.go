package roles

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Shown is all there is to tell of a role, and where it is used.
type Shown struct {
	Role
	For       []Service // the services that its trust lets in
	Profiles  []Name    // instance profiles that hold it
	Instances []UsedBy
	Tasks     []UsedBy // newest active revisions whose task or execution role it is
	Unknown   []string // what could not be looked at, and why
}

// UsedBy is an instance or a task definition.
type UsedBy struct {
	Name   string // "i-… (web-1)", "web:7"
	State  string // of an instance; "task role" or "execution role"
	Bonded string // the instance profile
}

// families that are looked at; each costs a call.
const mostFamilies = 200

// Show tells of a role. What the caller may not look at is left out, and named.
func (a *Account) Show(ctx context.Context, n Name) (*Shown, error) {
	r, err := a.needRole(ctx, n)
	if err != nil {
		return nil, err
	}
	s := &Shown{Role: *r}
	for _, service := range Services() {
		if service != ECSExecution && a.refusal(r.Trust, service) == "" {
			s.For = append(s.For, service)
		}
	}
	if err := a.policies(ctx, &s.Role); err != nil {
		if err := s.leaveOut(err); err != nil {
			return nil, err
		}
	}
	profiles, err := a.profilesOf(ctx, r)
	if err := s.leaveOut(err); err != nil {
		return nil, err
	}
	for _, p := range profiles {
		s.Profiles = append(s.Profiles, p.name)
	}
	if a.Region == "" {
		s.Unknown = append(s.Unknown, "instances and task definitions: no region is known")
		return s, nil
	}
	if err := s.leaveOut(a.showInstances(ctx, s, profiles)); err != nil {
		return nil, err
	}
	return s, s.leaveOut(a.showTasks(ctx, s))
}

// leaveOut notes an error of a caller that may not look; others come back.
func (s *Shown) leaveOut(err error) error {
	var e *Error
	if errors.As(err, &e) && denied(e.Code) {
		s.Unknown = append(s.Unknown, e.Msg)
		return nil
	}
	return err
}

func (a *Account) showInstances(ctx context.Context, s *Shown, profiles []*profile) error {
	if len(profiles) == 0 {
		return nil
	}
	bonds, err := a.associations(ctx, nil)
	if err != nil {
		return err
	}
	by := map[string]string{} // :: instance id → profile
	for id, all := range bonds {
		bond, _ := current(all)
		for _, p := range profiles {
			if bond.live() && bond.profileARN == p.arn {
				by[id] = p.name.Name
			}
		}
	}
	for ids := range slices.Chunk(sortedKeys(by), 200) {
		found, err := a.describe(ctx, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("instance-id"), Values: ids}}})
		if err != nil {
			return a.failure("ec2:DescribeInstances", "", err)
		}
		for _, i := range found {
			s.Instances = append(s.Instances, UsedBy{i.String(), i.state, by[i.id]})
		}
	}
	return nil
}

func (a *Account) showTasks(ctx context.Context, s *Shown) error {
	a.reads.add(may("ecs:ListTaskDefinitionFamilies", "*"))
	var families []string
	pages := ecs.NewListTaskDefinitionFamiliesPaginator(a.ecs, &ecs.ListTaskDefinitionFamiliesInput{Status: ecstypes.TaskDefinitionFamilyStatusActive})
	for pages.HasMorePages() && len(families) <= mostFamilies {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return a.failure("ecs:ListTaskDefinitionFamilies", "", err)
		}
		families = append(families, page.Families...)
	}
	if len(families) > mostFamilies {
		families = families[:mostFamilies]
		s.Unknown = append(s.Unknown, "task definitions beyond the first 200 families")
	}
	for _, family := range families {
		d, _, err := a.taskDefinition(ctx, family)
		var e *Error
		if errors.As(err, &e) && !denied(e.Code) && !throttling(e.Code) {
			continue // its last active revision went away
		}
		if err != nil {
			return err
		}
		for _, use := range []struct{ arn, as string }{{aws.ToString(d.TaskRoleArn), "task role"}, {aws.ToString(d.ExecutionRoleArn), "execution role"}} {
			if use.arn == s.ARN || use.arn == s.Role.Name.Name {
				s.Tasks = append(s.Tasks, UsedBy{Name: revision(d), State: use.as})
			}
		}
	}
	return nil
}

// Used is when IAM last saw the role at work, in words.
func (r *Role) Used() string {
	if r.LastUsed.IsZero() {
		return "not within the last 400 days"
	}
	text := r.LastUsed.UTC().Format("2006-01-02 15:04 UTC")
	if r.LastRegion != "" {
		text += " in " + r.LastRegion
	}
	return text
}

// InlineNames lists the role's inline policies, sorted.
func (r *Role) InlineNames() []string { return sortedKeys(r.Inline) }

// TagKeys lists the role's tags, sorted.
func (r *Role) TagKeys() []string { return sortedKeys(r.Tags) }

// ServiceNames lists the services as texts.
func (s *Shown) ServiceNames() (all []string) {
	for _, one := range s.For {
		all = append(all, string(one))
	}
	slices.Sort(all)
	return all
}
