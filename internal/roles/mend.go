package roles

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// mend brings in line what a role that is there has of its own: trust,
// description, longest session, boundary, tags.
func (a *Account) mend(w Wanted, r *Role) (steps []Step) {
	name := &w.Name.Name
	change := func(text, action string, in any, undo Undo) {
		steps = append(steps, Step{Text: text, Action: action, Input: in, needs: []Permission{may(action, r.ARN)}, undo: fixed(undo)})
	}
	if !samePolicy(w.Trust, r.Trust) {
		change("replace the trust policy", "iam:UpdateAssumeRolePolicy", &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &w.Trust},
			undoing("put the old trust policy back", "iam:UpdateAssumeRolePolicy", &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &r.Trust},
				may("iam:UpdateAssumeRolePolicy", r.ARN)))
	}
	if w.Description != "" && w.Description != r.Description || w.MaxSession != 0 && w.MaxSession != r.MaxSession {
		// UpdateRole resets what it is not told.
		description, session := r.Description, r.MaxSession
		if w.Description != "" {
			description = w.Description
		}
		if w.MaxSession != 0 {
			session = w.MaxSession
		}
		change("change description and longest session", "iam:UpdateRole", updateRole(name, description, session),
			undoing("change description and longest session back", "iam:UpdateRole", updateRole(name, r.Description, r.MaxSession), may("iam:UpdateRole", r.ARN)))
	}
	if w.Boundary != "" && w.Boundary != r.Boundary {
		back := undoing("remove the permissions boundary", "iam:DeleteRolePermissionsBoundary", &iam.DeleteRolePermissionsBoundaryInput{RoleName: name},
			may("iam:DeleteRolePermissionsBoundary", r.ARN))
		if r.Boundary != "" {
			back = undoing("put the old permissions boundary back", "iam:PutRolePermissionsBoundary",
				&iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: &r.Boundary}, may("iam:PutRolePermissionsBoundary", r.ARN))
		}
		change("set the permissions boundary", "iam:PutRolePermissionsBoundary", &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: &w.Boundary}, back)
	}
	a.mendTags(w, r, change)
	return steps
}

func (a *Account) mendTags(w Wanted, r *Role, change func(text, action string, in any, undo Undo)) {
	added, changed, old := map[string]string{}, map[string]string{}, map[string]string{}
	for key, value := range w.Tags {
		have, there := r.Tags[key]
		switch {
		case !there:
			added[key] = value
		case have != value:
			changed[key], old[key] = value, have
		}
	}
	name := &w.Name.Name
	if len(added) > 0 {
		change("add tags", "iam:TagRole", &iam.TagRoleInput{RoleName: name, Tags: tagList(added)},
			undoing("remove tags", "iam:UntagRole", &iam.UntagRoleInput{RoleName: name, TagKeys: sortedKeys(added)}, may("iam:UntagRole", r.ARN)))
	}
	if len(changed) > 0 {
		change("change tags", "iam:TagRole", &iam.TagRoleInput{RoleName: name, Tags: tagList(changed)},
			undoing("change tags back", "iam:TagRole", &iam.TagRoleInput{RoleName: name, Tags: tagList(old)}, may("iam:TagRole", r.ARN)))
	}
}

func updateRole(name *string, description string, session time.Duration) *iam.UpdateRoleInput {
	in := &iam.UpdateRoleInput{RoleName: name, Description: &description}
	if session != 0 {
		in.MaxSessionDuration = aws.Int32(int32(session / time.Second))
	}
	return in
}
