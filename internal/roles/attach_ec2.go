package roles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// InstanceWanted is a role that instances should have.
type InstanceWanted struct {
	Role      Name
	Instances Selection
	// Profile is the instance profile's name. Empty: the one that holds the
	// role already (of several that of the role's name, else the first), or a
	// new one of the role's name.
	Profile string
	// HopLimit of the metadata service's answers, 1 to 64. Zero: as it is.
	HopLimit int
	// Tokens is "required" (IMDSv2 only) or "optional". Empty: as it is.
	Tokens string
}

// PlanAttachInstances computes how instances get the role.
func (a *Account) PlanAttachInstances(ctx context.Context, w InstanceWanted) (*Plan, error) {
	r, err := a.needRole(ctx, w.Role)
	if err != nil {
		return nil, err
	}
	if why := a.refusal(r.Trust, EC2); why != "" {
		return nil, &Error{Msg: "the role " + r.Name.Name + " cannot be used by instances: " + why, Next: "rolecall role create " + r.Name.String() + " --for ec2"}
	}
	found, err := a.instances(ctx, w.Instances)
	if err != nil {
		return nil, err
	}
	p := &Plan{Command: "attach", Role: r.Name, Exists: true, Title: fmt.Sprintf("give the role %s to %s", r.Name, count(len(found), "instance"))}
	have, steps, err := a.planProfile(ctx, w, r)
	if err != nil {
		return nil, err
	}
	p.add(steps...)
	bonds, err := a.associations(ctx, idsOf(found))
	if err != nil {
		return nil, err
	}
	var waits []Step
	for _, i := range found {
		bond, bound := current(bonds[i.id])
		if bound && bond.live() && bond.profileARN == have.arn {
			if bond.state == "associating" {
				waits = append(waits, a.waitAssociated(i, have))
			}
		} else {
			p.add(a.associate(i, bond, bound, have, r)...)
			waits = append(waits, a.waitAssociated(i, have))
		}
		if s, ok := a.metadataStep(i, w); ok {
			p.add(s)
		}
		if i.state != "running" && i.state != "pending" {
			p.note("the instance %s is %s: it has the role when it runs", i, i.state)
		}
		noteMetadata(p, i, w)
	}
	p.add(waits...)
	return a.finish(p), nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// planProfile chooses the instance profile and says what it lacks.
func (a *Account) planProfile(ctx context.Context, w InstanceWanted, r *Role) (*profile, []Step, error) {
	name := w.Profile
	if name == "" {
		all, err := a.profilesOf(ctx, r)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range all {
			if p.name.Name == r.Name.Name {
				return p, nil, nil
			}
		}
		if len(all) > 0 {
			return all[0], nil, nil
		}
		name = r.Name.Name
	}
	n := Name{Path: r.Name.Path, Name: name}
	p, err := a.profile(ctx, n)
	switch {
	case err != nil:
		return nil, nil, err
	case p == nil:
		p = &profile{name: n, arn: a.profileARN(n)}
		return p, append(a.makeProfile(p), a.fillProfile(p, r)...), nil
	case p.holds(r.Name.Name):
		return p, nil, nil
	case len(p.roles) > 0:
		return nil, nil, &Error{Msg: fmt.Sprintf("the instance profile %s holds the role %s, and there is room for one", name, p.roles[0]),
			Next: "choose another with --instance-profile NAME; it is made if it is not there"}
	}
	return p, a.fillProfile(p, r), nil
}

func (a *Account) makeProfile(p *profile) []Step {
	in := &iam.CreateInstanceProfileInput{InstanceProfileName: &p.name.Name, Path: &p.name.Path}
	return []Step{{Text: "create the instance profile " + p.name.String(), Action: "iam:CreateInstanceProfile", Input: in,
		needs: []Permission{may("iam:CreateInstanceProfile", p.arn)},
		undo: fixed(undoing("delete the instance profile "+p.name.String(), "iam:DeleteInstanceProfile",
			&iam.DeleteInstanceProfileInput{InstanceProfileName: &p.name.Name}, may("iam:DeleteInstanceProfile", p.arn))),
		// AWS says that it is there, perhaps before it shows it; what it holds is
		// seen at the next step.
		already: func(context.Context) (bool, error) { return true, nil },
	}}
}

// fillProfile puts the role in, and waits until IAM shows it.
func (a *Account) fillProfile(p *profile, r *Role) []Step {
	back := undoing(fmt.Sprintf("take the role %s out of the instance profile %s", r.Name.Name, p.name.Name), "iam:RemoveRoleFromInstanceProfile",
		&iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &p.name.Name, RoleName: &r.Name.Name}, may("iam:RemoveRoleFromInstanceProfile", p.arn))
	look := func(ctx context.Context) (bool, string, error) {
		now, err := a.profile(ctx, p.name)
		return err == nil && now != nil && now.holds(r.Name.Name), "IAM does not show the role in it yet", err
	}
	return []Step{
		{Text: fmt.Sprintf("put the role %s in the instance profile %s", r.Name.Name, p.name.Name), Action: "iam:AddRoleToInstanceProfile",
			Input: &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &p.name.Name, RoleName: &r.Name.Name},
			needs: []Permission{may("iam:AddRoleToInstanceProfile", p.arn), a.mayPass(r.ARN, EC2)},
			undo:  fixed(back),
			already: func(ctx context.Context) (bool, error) {
				var now *profile // AWS says that it is full, perhaps before it shows it
				err := until(ctx, min(a.cfg.Patience, 20*time.Second), a.cfg.FirstPause, func(ctx context.Context) (bool, string, error) {
					var err error
					now, err = a.profile(ctx, p.name)
					return now != nil && len(now.roles) > 0, "IAM does not show what it holds", err
				}, func(string, time.Duration) {})
				switch {
				case errors.Is(err, errNotYet):
					return false, nil
				case err != nil:
					return false, err
				case !now.holds(r.Name.Name):
					return false, &Error{Msg: fmt.Sprintf("the instance profile %s now holds the role %s, and there is room for one", p.name.Name, now.roles[0]), Next: "choose another with --instance-profile NAME"}
				}
				return true, nil
			}},
		{Text: "wait until IAM shows the role in the instance profile " + p.name.Name, needs: []Permission{may("iam:GetInstanceProfile", p.arn)},
			wait: &wait{see: look, failed: "run it again: it goes on where it stopped"}},
	}
}

// associate binds the profile to an instance, in place of what is there.
func (a *Account) associate(i instance, bond association, bound bool, p *profile, r *Role) []Step {
	spec := &types.IamInstanceProfileSpecification{Name: &p.name.Name}
	pass := a.mayPass(r.ARN, EC2)
	already := func(ctx context.Context) (bool, error) {
		now, err := a.associations(ctx, []string{i.id})
		if err != nil {
			return false, err
		}
		s, ok := current(now[i.id])
		if ok && s.live() && s.profileARN != p.arn && (!bound || s.id != bond.id) {
			return false, &Error{Msg: fmt.Sprintf("the instance %s now has the instance profile %s", i, nameOfARN(s.profileARN).Name), Next: "run it again: it asks before it replaces it"}
		}
		return ok && s.live() && s.profileARN == p.arn, nil
	}
	other := nameOfARN(bond.profileARN).Name
	asks := fmt.Sprintf("the instance %s has the instance profile %s: replace it by %s?", i, other, p.name.Name)
	if bound && bond.live() && !i.stopped() {
		return []Step{{Text: fmt.Sprintf("replace the instance profile %s of %s by %s", other, i, p.name.Name), Action: "ec2:ReplaceIamInstanceProfileAssociation",
			Asks:  asks,
			Input: &ec2.ReplaceIamInstanceProfileAssociationInput{AssociationId: aws.String(bond.id), IamInstanceProfile: spec},
			needs: []Permission{may("ec2:ReplaceIamInstanceProfileAssociation", a.instanceARN(i.id)), pass},
			undo: func(answer any) []Undo {
				out, ok := answer.(*ec2.ReplaceIamInstanceProfileAssociationOutput)
				if !ok || out.IamInstanceProfileAssociation == nil {
					return nil
				}
				return []Undo{undoing(fmt.Sprintf("put the instance profile %s of %s back", other, i), "ec2:ReplaceIamInstanceProfileAssociation",
					&ec2.ReplaceIamInstanceProfileAssociationInput{AssociationId: out.IamInstanceProfileAssociation.AssociationId,
						IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: aws.String(bond.profileARN)}},
					may("ec2:ReplaceIamInstanceProfileAssociation", a.instanceARN(i.id)), a.mayPass(a.arn("iam", "role/*"), EC2))}
			},
			already: already}}
	}
	var steps []Step
	if bound && bond.live() { // EC2 replaces the profile of running instances only
		steps = append(steps, a.disassociate(i, bond))
		steps[0].Asks = asks
	}
	if bound {
		steps = append(steps, a.waitEnded(i))
	}
	return append(steps, Step{Text: fmt.Sprintf("give the instance profile %s to %s", p.name.Name, i), Action: "ec2:AssociateIamInstanceProfile",
		Input: &ec2.AssociateIamInstanceProfileInput{InstanceId: aws.String(i.id), IamInstanceProfile: spec},
		needs: []Permission{may("ec2:AssociateIamInstanceProfile", a.instanceARN(i.id)), pass},
		undo: func(answer any) []Undo {
			out, ok := answer.(*ec2.AssociateIamInstanceProfileOutput)
			if !ok || out.IamInstanceProfileAssociation == nil {
				return nil
			}
			return []Undo{a.disassociation(i, p.name.Name, aws.ToString(out.IamInstanceProfileAssociation.AssociationId))}
		},
		already: already})
}

func (a *Account) disassociation(i instance, profile, id string) Undo {
	return undoing(fmt.Sprintf("take the instance profile %s from %s", profile, i), "ec2:DisassociateIamInstanceProfile",
		&ec2.DisassociateIamInstanceProfileInput{AssociationId: &id}, may("ec2:DisassociateIamInstanceProfile", a.instanceARN(i.id)))
}

// waitAssociated waits until the instance has the profile.
func (a *Account) waitAssociated(i instance, p *profile) Step {
	see := func(ctx context.Context) (bool, string, error) {
		now, err := a.associations(ctx, []string{i.id})
		if err != nil {
			return false, "", err
		}
		s, ok := current(now[i.id])
		switch {
		case !ok:
			return false, "no association is shown yet", nil
		case s.live() && s.profileARN != p.arn:
			return false, "the old one is shown still", nil
		}
		return s.state == "associated", "the association is " + s.state, nil
	}
	return Step{Text: "wait until " + i.String() + " has the instance profile", needs: []Permission{may("ec2:DescribeIamInstanceProfileAssociations", "*")},
		wait: &wait{see: see, failed: "rolecall role verify " + nameOfARN(p.arn).Name + " --instance " + i.id}}
}

// waitEnded waits until an association that is ending has ended.
func (a *Account) waitEnded(i instance) Step {
	see := func(ctx context.Context) (bool, string, error) {
		now, err := a.associations(ctx, []string{i.id})
		if err != nil {
			return false, "", err
		}
		s, ok := current(now[i.id])
		return !ok || s.live(), "the association is " + s.state, nil
	}
	return Step{Text: "wait until the old association of " + i.String() + " has ended", needs: []Permission{may("ec2:DescribeIamInstanceProfileAssociations", "*")},
		wait: &wait{see: see, failed: "look at it with: aws ec2 describe-iam-instance-profile-associations --filters Name=instance-id,Values=" + i.id}}
}
