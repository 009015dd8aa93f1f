package roles

import (
	"context"
	"fmt"
	"slices"
)

// Check is one step of the way that credentials take.
type Check struct {
	Name   string `json:"check"`
	Status string `json:"status"` // ok, warning, failed, skipped
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

const (
	checkOK      = "ok"
	checkWarning = "warning"
	checkFailed  = "failed"
	checkSkipped = "skipped"
)

type checks []Check

func (c *checks) ok(name, format string, args ...any) {
	*c = append(*c, Check{Name: name, Status: checkOK, Detail: fmt.Sprintf(format, args...)})
}

func (c *checks) bad(status, name, fix, format string, args ...any) {
	*c = append(*c, Check{name, status, fmt.Sprintf(format, args...), fix})
}

// Failed says whether a check did.
func Failed(all []Check) bool {
	return slices.ContainsFunc(all, func(c Check) bool { return c.Status == checkFailed })
}

// roleChecks are those that instances and tasks have in common. r is nil where
// there is no role.
func (a *Account) roleChecks(ctx context.Context, n Name, s Service) (c checks, r *Role, err error) {
	if r, err = a.role(ctx, n); err != nil {
		return nil, nil, err
	}
	if r == nil {
		c.bad(checkFailed, "role", fmt.Sprintf("rolecall role create %s --for %s", n, s), "there is no role %s in the account %s", n.Name, a.ID)
		return c, nil, nil
	}
	c.ok("role", "%s is there", r.ARN)
	if why := a.refusal(r.Trust, s); why != "" {
		c.bad(checkFailed, "trust", fmt.Sprintf("rolecall role create %s --for %s", r.Name, s), "%s", why)
	} else {
		t, _ := trustOf(s, a.Partition)
		c.ok("trust", "it lets %s assume the role", t.principal)
	}
	return c, r, nil
}

// VerifyInstance looks whether the role's credentials can arrive on an instance.
func (a *Account) VerifyInstance(ctx context.Context, n Name, id string) ([]Check, error) {
	if err := CheckInstanceID(id); err != nil {
		return nil, err
	}
	if err := a.needsRegion(); err != nil {
		return nil, err
	}
	c, r, err := a.roleChecks(ctx, n, EC2)
	if err != nil || r == nil {
		return c, err
	}
	attach := fmt.Sprintf("rolecall role attach %s --instance %s", r.Name, id)
	found, err := a.instances(ctx, Selection{IDs: []string{id}})
	if err := notACheck(err); err != nil {
		return c, err
	}
	if err != nil {
		return append(c, failedCheck("instance", err)), nil
	}
	i := found[0]
	if i.state == "running" {
		c.ok("instance", "%s is running", i)
	} else {
		c.bad(checkWarning, "instance", "aws ec2 start-instances --instance-ids "+id, "%s is %s", i, i.state)
	}
	bonds, err := a.associations(ctx, []string{id})
	if err != nil {
		return c, err
	}
	if err := a.checkAssociation(ctx, &c, r, bonds[id], attach); err != nil {
		return c, err
	}
	checkMetadata(&c, i, attach)
	return c, nil
}

func (a *Account) checkAssociation(ctx context.Context, c *checks, r *Role, bonds []association, attach string) error {
	bond, bound := current(bonds)
	switch {
	case !bound:
		c.bad(checkFailed, "association", attach, "the instance has no instance profile")
		return nil
	case !bond.live():
		c.bad(checkFailed, "association", attach, "the association is %s", bond.state)
		return nil
	}
	p, err := a.profile(ctx, nameOfARN(bond.profileARN))
	if err != nil {
		return err
	}
	name := nameOfARN(bond.profileARN).Name
	switch {
	case p == nil:
		c.bad(checkFailed, "instance profile", attach, "the instance profile %s of the instance is gone", name)
	case len(p.roles) == 0:
		c.bad(checkFailed, "instance profile", attach, "the instance profile %s holds no role", name)
	case !p.holds(r.Name.Name):
		c.bad(checkFailed, "instance profile", attach, "the instance profile %s holds the role %s", name, p.roles[0])
	default:
		c.ok("instance profile", "%s holds the role", name)
	}
	if bond.state == "associated" {
		c.ok("association", "%s is associated", name)
	} else {
		c.bad(checkWarning, "association", "wait some seconds, then look again", "the association is %s", bond.state)
	}
	return nil
}

func checkMetadata(c *checks, i instance, attach string) {
	hops, tokens, on := metadataOf(i)
	switch {
	case !on:
		c.bad(checkFailed, "metadata service", attach+" --metadata-tokens required", "it is switched off for this instance")
	case hops < 2:
		c.bad(checkWarning, "metadata service", attach+" --metadata-hop-limit 2", "its answers travel %d hop (tokens are %s): programs on the instance get them, containers with a network of their own do not", hops, tokens)
	default:
		c.ok("metadata service", "it is on, with a hop limit of %d; tokens are %s", hops, tokens)
	}
}

// failedCheck is the check that an error ended.
func failedCheck(name string, err error) Check {
	c := Check{Name: name, Status: checkFailed, Detail: err.Error()}
	if hinted, ok := err.(interface{ Hint() string }); ok {
		c.Fix = hinted.Hint()
	}
	return c
}

// notACheck is err where it says nothing of the role's way: the caller may not
// look, or AWS does not answer.
func notACheck(err error) error {
	if e, ok := err.(*Error); ok && (e.Action == "" || missing(e)) {
		return nil
	}
	return err
}
