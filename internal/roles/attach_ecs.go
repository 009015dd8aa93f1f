package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TaskWanted is a task definition that should have the role as its task role.
type TaskWanted struct {
	Role           Name
	TaskDefinition string // family, FAMILY:REVISION or ARN
	// Services that are to run the new revision, and whose rollout is waited for
	// unless NoWait.
	Services []ServiceName
	NoWait   bool
	// Detach takes the task role away, where it is Role.
	Detach bool
}

// NewRevision stands in a plan for the ARN that a registration will answer.
const NewRevision = "(the new revision)"

// PlanTaskDefinition computes how a task definition gets the role, or loses it:
// by a new revision that differs in its task role only.
func (a *Account) PlanTaskDefinition(ctx context.Context, w TaskWanted) (*Plan, error) {
	roleARN, name, err := a.taskRole(ctx, w)
	if err != nil {
		return nil, err
	}
	d, tags, err := a.taskDefinition(ctx, w.TaskDefinition)
	if err != nil {
		return nil, err
	}
	p := &Plan{Command: "attach", Role: name, Exists: true, Title: fmt.Sprintf("make %s the task role of %s", name, aws.ToString(d.Family))}
	if w.Detach {
		p.Command, p.Title = "detach", fmt.Sprintf("take the task role %s from %s", name, aws.ToString(d.Family))
		if have := aws.ToString(d.TaskRoleArn); have != "" && nameOfARN(have).Name != name.Name {
			return nil, &Error{Msg: fmt.Sprintf("the task role of %s is %s, and not %s", revision(d), nameOfARN(have), name), Next: "rolecall role detach " + nameOfARN(have).String() + " --task-definition " + w.TaskDefinition}
		}
	}
	noteExecution(p, d, roleARN)
	registered := -1 // the step that does it
	target := aws.ToString(d.TaskDefinitionArn)
	if aws.ToString(d.TaskRoleArn) != roleARN {
		step := a.register(d, tags, roleARN)
		made, err := a.newestAs(ctx, d, w.TaskDefinition, step.Input)
		if err != nil {
			return nil, err
		}
		if target = made; target == "" {
			p.add(step)
			registered, target = 0, NewRevision
		}
	}
	for _, n := range w.Services {
		s, err := a.service(ctx, n)
		if err != nil {
			return nil, err
		}
		runs := aws.ToString(s.TaskDefinition)
		if runs == target {
			continue
		}
		if family, _, _ := strings.Cut(revisionOf(runs), ":"); family != aws.ToString(d.Family) {
			return nil, &Error{Msg: fmt.Sprintf("the service %s runs %s, which is another family than %s", n, revisionOf(runs), aws.ToString(d.Family)), Next: "rolecall role " + p.Command + " " + name.String() + " --task-definition " + family + " --update-service " + n.String()}
		}
		if runs != aws.ToString(d.TaskDefinitionArn) {
			p.note("the service %s runs %s, and %s is what is copied: name --task-definition %s to change nothing but the role", n, revisionOf(runs), revision(d), revisionOf(runs))
		}
		p.add(a.roll(n, s, d, target, registered, roleARN, w.NoWait)...)
	}
	return a.finish(p), nil
}

// newestAs is the ARN of the family's newest revision where that is what would
// be registered: an earlier run, which text also named an old revision for, has
// done it. "" where it is not.
func (a *Account) newestAs(ctx context.Context, d *types.TaskDefinition, text string, in any) (string, error) {
	if text == aws.ToString(d.Family) {
		return "", nil // d is the newest
	}
	newest, tags, err := a.taskDefinition(ctx, aws.ToString(d.Family))
	if err := notACheck(err); err != nil {
		return "", err
	}
	if err != nil {
		return "", nil // there is no active one
	}
	have, err := json.Marshal(copyOf(newest, tags))
	if err != nil {
		return "", err
	}
	want, err := json.Marshal(in)
	if err != nil || !bytes.Equal(have, want) {
		return "", err
	}
	return aws.ToString(newest.TaskDefinitionArn), nil
}

// taskRole is the ARN that task definitions are to name, "" for none.
func (a *Account) taskRole(ctx context.Context, w TaskWanted) (string, Name, error) {
	if w.Detach {
		return "", w.Role, nil
	}
	r, err := a.needRole(ctx, w.Role)
	if err != nil {
		return "", Name{}, err
	}
	if why := a.refusal(r.Trust, ECSTask); why != "" {
		return "", Name{}, &Error{Msg: "the role " + r.Name.Name + " cannot be used by tasks: " + why, Next: "rolecall role create " + r.Name.String() + " --for ecs-task"}
	}
	return r.ARN, r.Name, nil
}

func noteExecution(p *Plan, d *types.TaskDefinition, roleARN string) {
	if roleARN != "" && roleARN == aws.ToString(d.ExecutionRoleArn) {
		p.note("the same role is the execution role of %s: programs could pull images and read secrets with it; a role of its own is better", revision(d))
	}
	for _, c := range d.ContainerDefinitions {
		for _, e := range c.Environment {
			if shadows(aws.ToString(e.Name)) {
				p.note("the container %s sets %s, with which SDKs never ask for the task role", aws.ToString(c.Name), aws.ToString(e.Name))
			}
		}
	}
}

// shadows says whether a variable keeps SDKs from the container's credentials.
func shadows(variable string) bool {
	switch variable {
	case "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI":
		return true
	}
	return false
}

// register makes the new revision.
func (a *Account) register(d *types.TaskDefinition, tags []types.Tag, roleARN string) Step {
	in := copyOf(d, tags)
	in.TaskRoleArn = nil
	text := fmt.Sprintf("register %s again, without a task role", revision(d))
	needs := []Permission{may("ecs:RegisterTaskDefinition", "*")} // it takes no resource
	if roleARN != "" {
		in.TaskRoleArn = &roleARN
		text = fmt.Sprintf("register %s again, with the task role %s", revision(d), nameOfARN(roleARN))
	}
	needs = append(needs, a.passes(d, roleARN)...)
	if len(in.Tags) > 0 {
		needs = append(needs, may("ecs:TagResource", a.arn("ecs", "task-definition/"+aws.ToString(d.Family)+":*")))
	}
	return Step{Text: text, Action: "ecs:RegisterTaskDefinition", Input: in, hidden: true, needs: needs,
		undo: func(answer any) []Undo {
			out, ok := answer.(*ecs.RegisterTaskDefinitionOutput)
			if !ok || out.TaskDefinition == nil {
				return nil
			}
			return []Undo{undoing("deregister "+revision(out.TaskDefinition), "ecs:DeregisterTaskDefinition",
				&ecs.DeregisterTaskDefinitionInput{TaskDefinition: out.TaskDefinition.TaskDefinitionArn}, may("ecs:DeregisterTaskDefinition", "*"))}
		}}
}

// passes are the permissions to hand on a task definition's two roles.
func (a *Account) passes(d *types.TaskDefinition, taskRole string) (all []Permission) {
	for _, arn := range []string{taskRole, aws.ToString(d.ExecutionRoleArn)} {
		if strings.HasPrefix(arn, "arn:") {
			all = append(all, a.mayPass(arn, ECSTask))
		} else if arn != "" { // task definitions may name a role without its path
			all = append(all, a.mayPass(a.arn("iam", "role/"+arn), ECSTask))
		}
	}
	return all
}

// roll makes a service run target, and waits for it.
func (a *Account) roll(n ServiceName, s *types.Service, d *types.TaskDefinition, target string, registered int, roleARN string, noWait bool) []Step {
	in := &ecs.UpdateServiceInput{Cluster: aws.String(n.Cluster), Service: aws.String(n.Service), TaskDefinition: aws.String(target)}
	need := may("ecs:UpdateService", a.arn("ecs", "service/"+n.String()))
	back := undoing(fmt.Sprintf("let the service %s run %s again", n, revisionOf(aws.ToString(s.TaskDefinition))), "ecs:UpdateService",
		&ecs.UpdateServiceInput{Cluster: aws.String(n.Cluster), Service: aws.String(n.Service), TaskDefinition: s.TaskDefinition},
		need, a.mayPass(a.arn("iam", "role/*"), ECSTask))
	step := Step{Text: "let the service " + n.String() + " run the new revision", Action: "ecs:UpdateService", Input: in, undo: fixed(back),
		needs: append([]Permission{need}, a.passes(d, roleARN)...)}
	if registered >= 0 {
		step.prepare = func(answers []any) {
			if out, ok := answers[registered].(*ecs.RegisterTaskDefinitionOutput); ok && out.TaskDefinition != nil {
				in.TaskDefinition = out.TaskDefinition.TaskDefinitionArn
			}
		}
	} else {
		step.Text = fmt.Sprintf("let the service %s run %s", n, revisionOf(target))
	}
	if noWait {
		return []Step{step}
	}
	return []Step{step, {Text: "wait until the service " + n.String() + " runs it", needs: []Permission{may("ecs:DescribeServices", a.arn("ecs", "service/"+n.String()))},
		wait: &wait{rollout: true, see: a.rollout(n, in), failed: "see why with: aws ecs describe-services --cluster " + n.Cluster + " --services " + n.Service + " --query 'services[].events[:5]'"}}}
}

// rollout looks whether the service runs what it was told to, and nothing else.
func (a *Account) rollout(n ServiceName, in *ecs.UpdateServiceInput) look {
	events := "see why with: aws ecs describe-services --cluster " + n.Cluster + " --services " + n.Service
	begun := false
	return func(ctx context.Context) (bool, string, error) {
		s, err := a.service(ctx, n)
		if err != nil {
			return false, "", err
		}
		ours := func(d types.Deployment) bool {
			return aws.ToString(d.TaskDefinition) == aws.ToString(in.TaskDefinition)
		}
		for _, one := range s.Deployments {
			if ours(one) && one.RolloutState == types.DeploymentRolloutStateFailed { // it may have been rolled back already
				return false, "", &Error{Msg: fmt.Sprintf("the rollout of %s failed: %s", n, oneLine(aws.ToString(one.RolloutStateReason))), Next: events}
			}
		}
		for _, one := range s.Deployments {
			primary := aws.ToString(one.Status) == "PRIMARY"
			state := fmt.Sprintf("%d of %d tasks run it", one.RunningCount, one.DesiredCount)
			switch {
			case primary && !ours(one) && begun:
				return false, "", &Error{Msg: fmt.Sprintf("the service %s runs %s again: ECS, or somebody else, took the new revision back", n, revisionOf(aws.ToString(one.TaskDefinition))), Next: events}
			case !primary || !ours(one):
				continue
			case one.RolloutState == types.DeploymentRolloutStateCompleted:
				return true, state, nil
			case one.RolloutState == "": // blue/green and external controllers tell no rollout
				return len(s.Deployments) == 1 && one.RunningCount == one.DesiredCount, state, nil
			}
			begun = true
			return false, state, nil
		}
		return false, "ECS does not show the new deployment yet", nil
	}
}
