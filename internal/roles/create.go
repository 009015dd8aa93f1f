package roles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// Wanted is a role as it should be. What is not said (no description, no
// boundary, no tag) stays as it is.
type Wanted struct {
	Name Name
	// For is the service that the trust policy is made for. Empty: Trust.
	For Service
	// SourceAccount asks for the condition aws:SourceAccount, or for none. Nil:
	// where the service documents it.
	SourceAccount *bool
	// Trust is the trust policy's JSON, checked by ParsePolicy.
	Trust string
	// Policies are ARNs, or names of AWS's own. None, and no Inline: the one
	// that a role for the service nearly always has, if there is one.
	Policies []string
	// Inline policies by name, checked by ParsePolicy.
	Inline map[string]string
	// Boundary is the ARN of the permissions boundary.
	Boundary string
	Tags     map[string]string
	// Description of a new role, or of one that is there. Empty: as it is.
	Description string
	// MaxSession is the longest session. Zero: as it is, 1 h for a new role.
	MaxSession time.Duration
}

// PlanCreate compares the role with what is wanted. For a role that is there
// the steps bring it in line; what it has beside what is wanted is left alone,
// and noted.
func (a *Account) PlanCreate(ctx context.Context, w Wanted) (*Plan, error) {
	if err := a.complete(ctx, &w); err != nil {
		return nil, err
	}
	r, err := a.role(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	p := &Plan{Command: "create", Role: w.Name, Title: "create the role " + w.Name.String()}
	if w.For == ECSExecution {
		p.note("this is the execution role, with which ECS pulls images and writes logs; the program's own permissions belong to a task role (--for ecs-task)")
	}
	if r == nil {
		p.add(a.createRole(w))
		p.add(a.fillRole(w, nil)...)
		p.add(a.waitRole(w.Name))
		return a.finish(p), nil
	}
	if r.Name.Path != w.Name.Path {
		return nil, &Error{Msg: fmt.Sprintf("the role %s is there with the path %s, which cannot be changed", w.Name.Name, r.Name.Path), Next: "rolecall role create " + r.Name.String() + " …, or choose another name"}
	}
	if err := a.policies(ctx, r); err != nil {
		return nil, err
	}
	p.Exists, p.Title = true, "bring the role "+w.Name.String()+" in line"
	p.Differences = differences(w, r)
	p.Notes = append(p.Notes, besides(w, r)...)
	p.add(a.mend(w, r)...)
	p.add(a.fillRole(w, r)...)
	return a.finish(p), nil
}

// complete makes policies' ARNs, checks that they exist, and makes the trust
// policy.
func (a *Account) complete(ctx context.Context, w *Wanted) (err error) {
	if w.For != "" {
		if w.Trust, err = a.trustPolicy(w.For, w.SourceAccount); err != nil {
			return err
		}
		if t, _ := trustOf(w.For, a.Partition); t.usual != "" && len(w.Policies) == 0 && len(w.Inline) == 0 {
			w.Policies = []string{t.usual}
		}
	}
	var arns []string
	for _, text := range w.Policies {
		arn, err := a.policyARN(text)
		if err != nil {
			return err
		}
		if !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	w.Policies = arns
	if w.Boundary != "" {
		if w.Boundary, err = a.policyARN(w.Boundary); err != nil {
			return err
		}
		arns = append(slices.Clip(arns), w.Boundary)
	}
	for _, arn := range arns {
		if err := a.policyThere(ctx, arn); err != nil {
			return err
		}
	}
	return nil
}

func (a *Account) createRole(w Wanted) Step {
	in := &iam.CreateRoleInput{RoleName: &w.Name.Name, Path: &w.Name.Path, AssumeRolePolicyDocument: &w.Trust, Tags: tagList(w.Tags)}
	arn := a.roleARN(w.Name)
	create := may("iam:CreateRole", arn)
	if w.Boundary != "" {
		in.PermissionsBoundary = &w.Boundary
		create = mayIf("iam:CreateRole", arn, "StringEquals", "iam:PermissionsBoundary", w.Boundary)
	}
	if w.Description != "" {
		in.Description = &w.Description
	}
	if w.MaxSession != 0 {
		in.MaxSessionDuration = aws.Int32(int32(w.MaxSession / time.Second))
	}
	s := Step{Text: "create the role " + w.Name.String(), Action: "iam:CreateRole", Input: in, needs: []Permission{create}}
	if len(w.Tags) > 0 {
		s.needs = append(s.needs, may("iam:TagRole", arn))
	}
	s.undo = fixed(undoing("delete the role "+w.Name.String(), "iam:DeleteRole", &iam.DeleteRoleInput{RoleName: &w.Name.Name}, may("iam:DeleteRole", arn)))
	s.already = func(ctx context.Context) (bool, error) {
		var r *Role
		err := until(ctx, a.cfg.Patience, a.cfg.FirstPause, func(ctx context.Context) (bool, string, error) {
			var err error
			r, err = a.role(ctx, w.Name)
			return r != nil, "IAM does not show the role yet", err
		}, func(string, time.Duration) {})
		if err != nil {
			return false, err
		}
		if d := differences(Wanted{Name: w.Name, Trust: w.Trust, Boundary: w.Boundary, Tags: w.Tags, Description: w.Description, MaxSession: w.MaxSession}, r); len(d) > 0 {
			return false, &Error{Msg: "somebody else has just created the role " + w.Name.String() + ", and not as it is wanted here", Next: "run it again to see the differences"}
		}
		return true, nil
	}
	return s
}

// waitRole waits until IAM shows a new role, so that the next command finds it.
func (a *Account) waitRole(n Name) Step {
	return Step{Text: "wait until IAM shows the role " + n.String(), needs: []Permission{may("iam:GetRole", a.roleARN(n))},
		wait: &wait{failed: "rolecall role show " + n.String(), see: func(ctx context.Context) (bool, string, error) {
			r, err := a.role(ctx, n)
			return r != nil, "IAM does not show the role yet", err
		}}}
}

// fillRole attaches what is not there yet. r nil: a new role.
func (a *Account) fillRole(w Wanted, r *Role) (steps []Step) {
	arn, name := a.roleARN(w.Name), &w.Name.Name
	for _, policy := range w.Policies {
		if r != nil && slices.Contains(r.Attached, policy) {
			continue
		}
		short := nameOfARN(policy).Name
		steps = append(steps, Step{Text: "attach the policy " + short, Action: "iam:AttachRolePolicy",
			Input: &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(policy)},
			needs: []Permission{mayIf("iam:AttachRolePolicy", arn, "ArnEquals", "iam:PolicyARN", policy)},
			undo: fixed(undoing("detach the policy "+short, "iam:DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String(policy)},
				mayIf("iam:DetachRolePolicy", arn, "ArnEquals", "iam:PolicyARN", policy)))})
	}
	for _, key := range sortedKeys(w.Inline) {
		old, there := "", false
		if r != nil {
			old, there = r.Inline[key], hasKey(r.Inline, key)
		}
		if there && samePolicy(old, w.Inline[key]) {
			continue
		}
		s := Step{Text: "put the inline policy " + key, Action: "iam:PutRolePolicy", needs: []Permission{may("iam:PutRolePolicy", arn)},
			Input: &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String(key), PolicyDocument: aws.String(w.Inline[key])},
			undo: fixed(undoing("remove the inline policy "+key, "iam:DeleteRolePolicy", &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String(key)},
				may("iam:DeleteRolePolicy", arn)))}
		if there {
			s.undo = fixed(undoing("put the old inline policy "+key, "iam:PutRolePolicy", &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String(key), PolicyDocument: &old},
				may("iam:PutRolePolicy", arn)))
		}
		steps = append(steps, s)
	}
	return steps
}

func hasKey[V any](m map[string]V, key string) bool { _, ok := m[key]; return ok }

// differences between a role and what is wanted, in words.
func differences(w Wanted, r *Role) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if !samePolicy(w.Trust, r.Trust) {
		say("its trust policy is another: %s", r.Trust)
	}
	if w.Description != "" && w.Description != r.Description {
		say("its description is %q", r.Description)
	}
	if w.MaxSession != 0 && w.MaxSession != r.MaxSession {
		say("its longest session is %s, and not %s", r.MaxSession, w.MaxSession)
	}
	if w.Boundary != "" && w.Boundary != r.Boundary {
		say("its permissions boundary is %s, and not %s", orNone(r.Boundary), w.Boundary)
	}
	for _, key := range sortedKeys(w.Tags) {
		if have, ok := r.Tags[key]; !ok {
			say("it has no tag %s", key)
		} else if have != w.Tags[key] {
			say("its tag %s is %q, and not %q", key, have, w.Tags[key])
		}
	}
	for _, policy := range w.Policies {
		if !slices.Contains(r.Attached, policy) {
			say("the policy %s is not attached", policy)
		}
	}
	for _, key := range sortedKeys(w.Inline) {
		if have, ok := r.Inline[key]; !ok {
			say("it has no inline policy %s", key)
		} else if !samePolicy(have, w.Inline[key]) {
			say("its inline policy %s is another", key)
		}
	}
	return all
}

// besides is what a role has that was not asked for.
func besides(w Wanted, r *Role) (all []string) {
	for _, policy := range r.Attached {
		if !slices.Contains(w.Policies, policy) {
			all = append(all, "also attached, and left alone: "+policy)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Inline)) {
		if !hasKey(w.Inline, key) {
			all = append(all, "also there, and left alone: the inline policy "+key)
		}
	}
	return all
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
