package roles

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// PlanDetachInstances computes how instances lose the role. The instance profile
// stays, with the role in it. A role that is gone can be detached too, where its
// instance profile has its name.
func (a *Account) PlanDetachInstances(ctx context.Context, role Name, s Selection) (*Plan, error) {
	r, err := a.role(ctx, role)
	if err != nil {
		return nil, err
	}
	held := []string{a.profileARN(role)}
	if r != nil {
		role = r.Name
		all, err := a.profilesOf(ctx, r)
		if err != nil {
			return nil, err
		}
		held = nil
		for _, p := range all {
			held = append(held, p.arn)
		}
	}
	found, err := a.instances(ctx, s)
	if err != nil {
		return nil, err
	}
	p := &Plan{Command: "detach", Role: role, Exists: r != nil, Title: fmt.Sprintf("take the role %s from %s", role, count(len(found), "instance"))}
	bonds, err := a.associations(ctx, idsOf(found))
	if err != nil {
		return nil, err
	}
	var waits []Step
	for _, i := range found {
		bond, bound := current(bonds[i.id])
		switch {
		case !bound:
			continue
		case !bond.live():
			waits = append(waits, a.waitEnded(i))
		case !slices.Contains(held, bond.profileARN):
			p.note("%s has another instance profile, %s, which is left alone", i, nameOfARN(bond.profileARN))
		default:
			p.add(a.disassociate(i, bond))
			waits = append(waits, a.waitEnded(i))
		}
	}
	p.add(waits...)
	if len(p.Steps) > 0 {
		p.note("programs on the instances can use the credentials that they hold until those expire, which takes up to 6 hours")
	}
	return a.finish(p), nil
}

func (a *Account) disassociate(i instance, bond association) Step {
	name := nameOfARN(bond.profileARN).Name
	spec := &types.IamInstanceProfileSpecification{Arn: aws.String(bond.profileARN)}
	already := func(ctx context.Context) (bool, error) {
		now, err := a.associations(ctx, []string{i.id})
		s, ok := current(now[i.id])
		return err == nil && (!ok || !s.live()), err
	}
	u := a.disassociation(i, name, bond.id)
	return Step{Text: u.Text, Action: u.Action, Input: &ec2.DisassociateIamInstanceProfileInput{AssociationId: aws.String(bond.id)}, needs: u.Needs,
		undo: fixed(undoing(fmt.Sprintf("give the instance profile %s back to %s", name, i), "ec2:AssociateIamInstanceProfile",
			&ec2.AssociateIamInstanceProfileInput{InstanceId: aws.String(i.id), IamInstanceProfile: spec},
			may("ec2:AssociateIamInstanceProfile", a.instanceARN(i.id)), a.mayPass(a.arn("iam", "role/*"), EC2))),
		already: already}
}
