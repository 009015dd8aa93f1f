package roles

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// call is one API call that changes something, tried once: Account.do tries
// again, and ends with its context.
type call struct {
	input func() any // an empty one, to decode into
	do    func(ctx context.Context, a *Account, in any) (any, error)
}

func iamCall[I, O any](f func(*iam.Client, context.Context, *I, ...func(*iam.Options)) (*O, error)) call {
	return call{func() any { return new(I) }, func(ctx context.Context, a *Account, in any) (any, error) {
		return f(a.iam, ctx, in.(*I), func(o *iam.Options) { o.Retryer = aws.NopRetryer{} })
	}}
}

func ec2Call[I, O any](f func(*ec2.Client, context.Context, *I, ...func(*ec2.Options)) (*O, error)) call {
	return call{func() any { return new(I) }, func(ctx context.Context, a *Account, in any) (any, error) {
		return f(a.ec2, ctx, in.(*I), func(o *ec2.Options) { o.Retryer = aws.NopRetryer{} })
	}}
}

func ecsCall[I, O any](f func(*ecs.Client, context.Context, *I, ...func(*ecs.Options)) (*O, error)) call {
	return call{func() any { return new(I) }, func(ctx context.Context, a *Account, in any) (any, error) {
		return f(a.ecs, ctx, in.(*I), func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
	}}
}

// callOf finds a call by its name in IAM policies.
func callOf(action string) (call, bool) {
	switch action {
	case "iam:CreateRole":
		return iamCall((*iam.Client).CreateRole), true
	case "iam:DeleteRole":
		return iamCall((*iam.Client).DeleteRole), true
	case "iam:UpdateRole":
		return iamCall((*iam.Client).UpdateRole), true
	case "iam:UpdateAssumeRolePolicy":
		return iamCall((*iam.Client).UpdateAssumeRolePolicy), true
	case "iam:AttachRolePolicy":
		return iamCall((*iam.Client).AttachRolePolicy), true
	case "iam:DetachRolePolicy":
		return iamCall((*iam.Client).DetachRolePolicy), true
	case "iam:PutRolePolicy":
		return iamCall((*iam.Client).PutRolePolicy), true
	case "iam:DeleteRolePolicy":
		return iamCall((*iam.Client).DeleteRolePolicy), true
	case "iam:PutRolePermissionsBoundary":
		return iamCall((*iam.Client).PutRolePermissionsBoundary), true
	case "iam:DeleteRolePermissionsBoundary":
		return iamCall((*iam.Client).DeleteRolePermissionsBoundary), true
	case "iam:TagRole":
		return iamCall((*iam.Client).TagRole), true
	case "iam:UntagRole":
		return iamCall((*iam.Client).UntagRole), true
	case "iam:CreateInstanceProfile":
		return iamCall((*iam.Client).CreateInstanceProfile), true
	case "iam:DeleteInstanceProfile":
		return iamCall((*iam.Client).DeleteInstanceProfile), true
	case "iam:AddRoleToInstanceProfile":
		return iamCall((*iam.Client).AddRoleToInstanceProfile), true
	case "iam:RemoveRoleFromInstanceProfile":
		return iamCall((*iam.Client).RemoveRoleFromInstanceProfile), true
	case "ec2:AssociateIamInstanceProfile":
		return ec2Call((*ec2.Client).AssociateIamInstanceProfile), true
	case "ec2:ReplaceIamInstanceProfileAssociation":
		return ec2Call((*ec2.Client).ReplaceIamInstanceProfileAssociation), true
	case "ec2:DisassociateIamInstanceProfile":
		return ec2Call((*ec2.Client).DisassociateIamInstanceProfile), true
	case "ec2:ModifyInstanceMetadataOptions":
		return ec2Call((*ec2.Client).ModifyInstanceMetadataOptions), true
	case "ecs:RegisterTaskDefinition":
		return ecsCall((*ecs.Client).RegisterTaskDefinition), true
	case "ecs:DeregisterTaskDefinition":
		return ecsCall((*ecs.Client).DeregisterTaskDefinition), true
	case "ecs:UpdateService":
		return ecsCall((*ecs.Client).UpdateService), true
	case "ecs:RunTask":
		return ecsCall((*ecs.Client).RunTask), true
	case "ecs:StopTask":
		return ecsCall((*ecs.Client).StopTask), true
	}
	return call{}, false
}

// settling says whether an error may end by itself, because AWS has not heard
// yet of what was just made or removed.
func settling(action string, err error) bool {
	code, text := apiCode(err), message(err)
	switch code {
	case "ConcurrentModification", "ConcurrentModificationException", "EntityTemporarilyUnmodifiable":
		return true // two runs at once
	}
	switch action {
	case "ec2:AssociateIamInstanceProfile", "ec2:ReplaceIamInstanceProfileAssociation":
		// "Value (app) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
		// or, of either, "IncorrectState: … InstanceIdentityProfileNotFound …". An old association may be ending
		// still, or a new one beginning.
		return code == "IncorrectState" || code == "InvalidParameterValue" && strings.Contains(strings.ToLower(text), "iam instance profile")
	case "iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", "iam:TagRole", "iam:AddRoleToInstanceProfile":
		return code == "NoSuchEntity"
	case "iam:DeleteRole", "iam:DeleteInstanceProfile":
		return code == "DeleteConflict"
	case "ecs:RunTask", "ecs:RegisterTaskDefinition", "ecs:UpdateService":
		return strings.Contains(text, "unable to assume the role") || strings.Contains(text, "Role is not valid")
	}
	return false
}

// gone says whether an error of an undoing call means that nothing is left to
// undo.
func gone(action string, err error) bool {
	switch action {
	case "ecs:StopTask":
		return strings.Contains(message(err), "task was not found")
	case "ecs:DeregisterTaskDefinition":
		return strings.Contains(message(err), "inactive") || strings.Contains(message(err), "does not exist")
	}
	_, verb, _ := strings.Cut(action, ":")
	for _, undoing := range []string{"Delete", "Detach", "Remove", "Untag", "Disassociate"} {
		if strings.HasPrefix(verb, undoing) {
			return missing(err)
		}
	}
	return false
}
