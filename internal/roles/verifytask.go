package roles

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// VerifyTask looks whether the role's credentials can arrive in a task: an ARN,
// CLUSTER/ID, or the ID of one in the default cluster.
func (a *Account) VerifyTask(ctx context.Context, n Name, text string) ([]Check, error) {
	if err := a.needsRegion(); err != nil {
		return nil, err
	}
	if err := a.Owns(text); err != nil {
		return nil, err
	}
	c, r, err := a.roleChecks(ctx, n, ECSTask)
	if err != nil || r == nil {
		return c, err
	}
	cluster, id := clusterAndTask(text)
	a.reads.add(may("ecs:DescribeTasks", a.arn("ecs", "task/"+cluster+"/*")))
	out, err := a.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: []string{id}})
	if err != nil && !missing(err) {
		return c, a.failure("ecs:DescribeTasks", "the task "+text, err)
	}
	if err != nil || len(out.Tasks) == 0 {
		c.bad(checkFailed, "task", "aws ecs list-tasks --cluster "+cluster, "there is no task %s in the cluster %s of %s (one that stopped is forgotten within the hour)", id, cluster, a.Region)
		return c, nil
	}
	t := out.Tasks[0]
	if state := aws.ToString(t.LastStatus); state == "RUNNING" {
		c.ok("task", "%s runs", lastPart(aws.ToString(t.TaskArn)))
	} else {
		c.bad(checkWarning, "task", "", "it is %s %s", state, oneLine(aws.ToString(t.StoppedReason)))
	}
	d, err := a.anyTaskDefinition(ctx, aws.ToString(t.TaskDefinitionArn))
	if err != nil {
		return c, err
	}
	checkTaskRole(&c, r, t, d)
	checkContainers(&c, t, d)
	return c, nil
}

// anyTaskDefinition also reads inactive ones: a task may run one.
func (a *Account) anyTaskDefinition(ctx context.Context, arn string) (*types.TaskDefinition, error) {
	a.reads.add(may("ecs:DescribeTaskDefinition", "*"))
	out, err := a.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})
	if err != nil {
		return nil, a.failure("ecs:DescribeTaskDefinition", revisionOf(arn), err)
	}
	return out.TaskDefinition, nil
}

func checkTaskRole(c *checks, r *Role, t types.Task, d *types.TaskDefinition) {
	role, from := aws.ToString(d.TaskRoleArn), revision(d)
	if t.Overrides != nil && aws.ToString(t.Overrides.TaskRoleArn) != "" {
		role, from = aws.ToString(t.Overrides.TaskRoleArn), "the task's override"
	}
	attach := fmt.Sprintf("rolecall role attach %s --task-definition %s --update-service CLUSTER/SERVICE", r.Name, aws.ToString(d.Family))
	switch {
	case role == r.ARN || role == r.Name.Name:
		c.ok("task role", "%s names it", from)
	case role == "" && aws.ToString(d.ExecutionRoleArn) == r.ARN:
		c.bad(checkFailed, "task role", attach, "%s has it as execution role only, with which ECS pulls images; programs get the task role, and there is none", from)
	case role == "":
		c.bad(checkFailed, "task role", attach, "%s names no task role", from)
	default:
		c.bad(checkFailed, "task role", attach, "%s names the role %s", from, nameOfARN(role))
	}
}

// checkContainers tells, as far as it shows from outside, whether the containers
// have the variable that ECS sets.
func checkContainers(c *checks, t types.Task, d *types.TaskDefinition) {
	for _, one := range d.ContainerDefinitions {
		name, bad := aws.ToString(one.Name), ""
		env := one.Environment
		if t.Overrides != nil {
			for _, o := range t.Overrides.ContainerOverrides {
				if aws.ToString(o.Name) == name {
					env = append(slices.Clip(env), o.Environment...)
				}
			}
		}
		for _, e := range env {
			if shadows(aws.ToString(e.Name)) {
				bad = aws.ToString(e.Name)
			}
		}
		if bad != "" {
			c.bad(checkFailed, "container "+name, "take "+bad+" out of the task definition", "it sets %s, with which SDKs never ask for the task role", bad)
			continue
		}
		c.ok("container "+name, "ECS sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI in its first process, and nothing in the task definition hides it")
	}
	if t.LaunchType == types.LaunchTypeEc2 && d.NetworkMode == types.NetworkModeHost {
		c.bad(checkWarning, "network", "set ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true in /etc/ecs/ecs.config of the instance", "with the network mode host the agent hands out task roles only where that is switched on")
	}
}

// clusterAndTask splits CLUSTER/ID, an ARN, or an ID.
func clusterAndTask(text string) (cluster, id string) {
	if strings.HasPrefix(text, "arn:") {
		if _, rest, ok := strings.Cut(text, ":task/"); ok {
			text = rest
		}
	}
	cluster, id, ok := strings.Cut(text, "/")
	if !ok {
		return "default", text
	}
	return cluster, id
}
