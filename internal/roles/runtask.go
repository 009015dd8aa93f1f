package roles

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// RunWanted is one run of a task definition with another task role.
type RunWanted struct {
	Role           Name
	Cluster        string
	TaskDefinition string
	Count          int    // 1 to 10; zero: 1
	LaunchType     string // EC2, FARGATE, EXTERNAL; "": the cluster's default
	// Of a task with the network mode awsvpc.
	Subnets, SecurityGroups []string
	PublicIP                bool
}

// PlanRunTask computes one RunTask whose task role is overridden; the task
// definition stays as it is.
func (a *Account) PlanRunTask(ctx context.Context, w RunWanted) (*Plan, error) {
	roleARN, name, err := a.taskRole(ctx, TaskWanted{Role: w.Role})
	if err != nil {
		return nil, err
	}
	d, _, err := a.taskDefinition(ctx, w.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if d.NetworkMode == types.NetworkModeAwsvpc && len(w.Subnets) == 0 {
		return nil, &Error{Msg: "the task definition " + revision(d) + " has the network mode awsvpc, for which a subnet is needed", Next: "add --subnet subnet-… (and --security-group sg-…), as its service has them"}
	}
	p := &Plan{Command: "run", Role: name, Exists: true, Title: fmt.Sprintf("run %s in %s with the task role %s", revision(d), w.Cluster, name)}
	noteExecution(p, d, roleARN)
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return nil, err
	}
	in := &ecs.RunTaskInput{TaskDefinition: d.TaskDefinitionArn, Cluster: &w.Cluster, Count: aws.Int32(int32(max(w.Count, 1))), LaunchType: types.LaunchType(w.LaunchType),
		ClientToken: aws.String(hex.EncodeToString(token)), // a call that is tried again starts nothing twice
		Overrides:   &types.TaskOverride{TaskRoleArn: &roleARN}, StartedBy: aws.String("rolecall")}
	if len(w.Subnets) > 0 {
		vpc := &types.AwsVpcConfiguration{Subnets: w.Subnets, SecurityGroups: w.SecurityGroups, AssignPublicIp: types.AssignPublicIpDisabled}
		if w.PublicIP {
			vpc.AssignPublicIp = types.AssignPublicIpEnabled
		}
		in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: vpc}
	}
	family := a.arn("ecs", "task-definition/"+revision(d))
	p.add(Step{Text: fmt.Sprintf("run %s with the task role %s", revision(d), name), Action: "ecs:RunTask", Input: in,
		needs: append([]Permission{may("ecs:RunTask", family)}, a.passes(d, roleARN)...),
		undo: func(answer any) (all []Undo) {
			out, _ := answer.(*ecs.RunTaskOutput)
			for _, arn := range TaskARNs(out) {
				all = append(all, undoing("stop the task "+lastPart(arn), "ecs:StopTask", &ecs.StopTaskInput{Cluster: &w.Cluster, Task: aws.String(arn)}, may("ecs:StopTask", arn)))
			}
			return all
		}})
	return a.finish(p), nil
}

// TaskARNs are those of the tasks that a RunTask started.
func TaskARNs(answer any) (all []string) {
	out, ok := answer.(*ecs.RunTaskOutput)
	if !ok || out == nil {
		return nil
	}
	for _, t := range out.Tasks {
		all = append(all, aws.ToString(t.TaskArn))
	}
	return all
}

// StartFailure says why a RunTask started fewer tasks than were asked for, nil
// where it did start them.
func StartFailure(answer any) error {
	out, ok := answer.(*ecs.RunTaskOutput)
	if !ok || out == nil || len(out.Failures) == 0 {
		return nil
	}
	var all []string
	for _, f := range out.Failures {
		all = append(all, strings.TrimSpace(aws.ToString(f.Reason)+" "+aws.ToString(f.Detail)))
	}
	return &Error{Msg: "ECS did not start the task: " + oneLine(strings.Join(all, "; ")), Next: "is there room in the cluster, and is the launch type right? see --launch-type"}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
