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

// taskDefinition reads one: "web", "web:7" or an ARN, with its tags. It has to
// be active.
func (a *Account) taskDefinition(ctx context.Context, text string) (*types.TaskDefinition, []types.Tag, error) {
	if err := a.needsRegion(); err != nil {
		return nil, nil, err
	}
	if err := a.Owns(text); err != nil {
		return nil, nil, err
	}
	a.reads.add(may("ecs:DescribeTaskDefinition", "*")) // it takes no resource
	out, err := a.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &text, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if err != nil {
		code := apiCode(err)
		if code == "ClientException" || code == "InvalidParameterException" {
			return nil, nil, &Error{Msg: fmt.Sprintf("there is no active task definition %s in %s: %s", text, a.Region, oneLine(message(err))),
				Next: "look for it with: aws ecs list-task-definitions", Code: code, Err: err}
		}
		return nil, nil, a.failure("ecs:DescribeTaskDefinition", "the task definition "+text, err)
	}
	d := out.TaskDefinition
	if d.Status != types.TaskDefinitionStatusActive {
		return nil, nil, &Error{Msg: fmt.Sprintf("the task definition %s is %s: no service can run it, and a copy of it might not be what is wanted", revision(d), strings.ToLower(string(d.Status))),
			Next: fmt.Sprintf("name an active revision, or the newest: --task-definition %s", aws.ToString(d.Family))}
	}
	return d, out.Tags, nil
}

// revision is "web:7".
func revision(d *types.TaskDefinition) string {
	return fmt.Sprintf("%s:%d", aws.ToString(d.Family), d.Revision)
}

// revisionOf is "web:7" of a task definition's ARN.
func revisionOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// ServiceName is CLUSTER/SERVICE.
type ServiceName struct{ Cluster, Service string }

// ParseServiceName takes "CLUSTER/SERVICE", or "SERVICE" of the default cluster.
func ParseServiceName(text string) (ServiceName, error) {
	if strings.HasPrefix(text, "arn:") { // arn:aws:ecs:region:account:service/CLUSTER/SERVICE
		if _, rest, ok := strings.Cut(text, ":service/"); ok {
			text = rest
		}
	}
	cluster, service, ok := strings.Cut(text, "/")
	if !ok {
		cluster, service = "default", text
	}
	if cluster == "" || service == "" || strings.ContainsAny(service, "/ ") {
		return ServiceName{}, &Error{Msg: fmt.Sprintf("%q is not CLUSTER/SERVICE", text), Next: "write e.g. --update-service prod/web"}
	}
	return ServiceName{cluster, service}, nil
}

func (n ServiceName) String() string { return n.Cluster + "/" + n.Service }

// service reads one that has to be active.
func (a *Account) service(ctx context.Context, n ServiceName) (*types.Service, error) {
	a.reads.add(may("ecs:DescribeServices", a.arn("ecs", "service/"+n.String())))
	out, err := a.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &n.Cluster, Services: []string{n.Service}})
	if missing(err) || err == nil && len(out.Services) == 0 {
		return nil, &Error{Msg: fmt.Sprintf("there is no service %s in %s", n, a.Region), Next: "look for it with: aws ecs list-services --cluster " + n.Cluster, Code: "ServiceNotFoundException"}
	}
	if err != nil {
		return nil, a.failure("ecs:DescribeServices", "the service "+n.String(), err)
	}
	s := out.Services[0]
	if aws.ToString(s.Status) != "ACTIVE" {
		return nil, &Error{Msg: fmt.Sprintf("the service %s is %s", n, strings.ToLower(aws.ToString(s.Status))), Next: "look for others with: aws ecs list-services --cluster " + n.Cluster}
	}
	return &s, nil
}

// copyOf is the input that registers the same task definition again. What AWS
// fills in itself (revision, status, compatibilities, …) is not asked for, nor
// are inference accelerators, which AWS has withdrawn.
func copyOf(d *types.TaskDefinition, tags []types.Tag) *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		ContainerDefinitions:    d.ContainerDefinitions,
		Family:                  d.Family,
		Cpu:                     d.Cpu,
		EnableFaultInjection:    d.EnableFaultInjection,
		EphemeralStorage:        d.EphemeralStorage,
		ExecutionRoleArn:        d.ExecutionRoleArn,
		IpcMode:                 d.IpcMode,
		Memory:                  d.Memory,
		NetworkMode:             d.NetworkMode,
		PidMode:                 d.PidMode,
		PlacementConstraints:    d.PlacementConstraints,
		ProxyConfiguration:      d.ProxyConfiguration,
		RequiresCompatibilities: d.RequiresCompatibilities,
		RuntimePlatform:         d.RuntimePlatform,
		Tags:                    ownTags(tags),
		TaskRoleArn:             d.TaskRoleArn,
		Volumes:                 d.Volumes,
	}
}

// ownTags leaves out those of AWS, which nobody may set; sorted by key.
func ownTags(tags []types.Tag) (own []types.Tag) {
	for _, t := range tags {
		if !strings.HasPrefix(strings.ToLower(aws.ToString(t.Key)), "aws:") {
			own = append(own, t)
		}
	}
	slices.SortFunc(own, func(x, y types.Tag) int { return compareText(aws.ToString(x.Key), aws.ToString(y.Key)) })
	return own
}
