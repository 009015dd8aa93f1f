package roles

import (
	"fmt"
	"strings"
)

// arn makes one of the account: resource is "role/x/app"; IAM has no region.
func (a *Account) arn(service, resource string) string {
	region := a.Region
	if service == "iam" {
		region = ""
	}
	return "arn:" + a.Partition + ":" + service + ":" + region + ":" + a.ID + ":" + resource
}

func (a *Account) roleARN(n Name) string        { return a.arn("iam", "role"+n.Path+n.Name) }
func (a *Account) profileARN(n Name) string     { return a.arn("iam", "instance-profile"+n.Path+n.Name) }
func (a *Account) instanceARN(id string) string { return a.arn("ec2", "instance/"+id) }

// Name is the name of a role or instance profile with its path, which begins
// and ends with a slash: "/" or "/team/".
type Name struct{ Path, Name string }

func (n Name) String() string { return strings.TrimPrefix(n.Path, "/") + n.Name }

// ParseName takes "app", "team/app", "/team/app", and the ARN of a role. The
// rules are IAM's: at most 64 characters of [\w+=,.@-], and 512 of path.
func ParseName(text string) (Name, error) {
	rest := text
	if strings.HasPrefix(text, "arn:") {
		parts := strings.SplitN(text, ":", 6)
		var ok bool
		if len(parts) == 6 && parts[2] == "iam" {
			rest, ok = strings.CutPrefix(parts[5], "role/")
		}
		if !ok {
			return Name{}, badName(text, "it is not the ARN of a role")
		}
	}
	rest = strings.TrimPrefix(rest, "/")
	cut := strings.LastIndexByte(rest, '/') + 1
	n := Name{Path: "/" + rest[:cut], Name: rest[cut:]}
	switch {
	case n.Name == "":
		return Name{}, badName(text, "it has no name")
	case len(n.Name) > 64:
		return Name{}, badName(text, "IAM allows 64 characters")
	case strings.ContainsFunc(n.Name, func(r rune) bool { return !nameRune(r) }):
		return Name{}, badName(text, "IAM allows letters, digits and _+=,.@-")
	case len(n.Path) > 512 || strings.Contains(n.Path, "//") || strings.ContainsFunc(n.Path, func(r rune) bool { return r < '!' || r > '~' }):
		return Name{}, badName(text, "its path is not one of IAM's")
	}
	return n, nil
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_+=,.@-", r)
}

func badName(text, why string) error {
	return &Error{Msg: fmt.Sprintf("%q is not the name of a role: %s", text, why), Next: "write NAME, PATH/NAME or the role's ARN"}
}

// Owns refuses an ARN of another partition, account or region: what is meant by
// it is not what would be found under its name here. Other text, it takes.
func (a *Account) Owns(text string) error {
	parts := strings.SplitN(text, ":", 6)
	if parts[0] != "arn" || len(parts) != 6 {
		return nil
	}
	switch {
	case parts[1] != a.Partition || parts[4] != a.ID && parts[4] != "aws":
		return &Error{Msg: fmt.Sprintf("%s is of another account: the caller's is %s, in the partition %s", text, a.ID, a.Partition), Next: "name credentials of that account with --source or --profile"}
	case parts[3] != "" && parts[3] != a.Region:
		return &Error{Msg: fmt.Sprintf("%s is in another region than %s", text, a.Region), Next: "name its region: --region " + parts[3]}
	}
	return nil
}

// CheckProfileName refuses what is no instance profile's name.
func CheckProfileName(text string) error {
	if text == "" || len(text) > 128 || strings.ContainsFunc(text, func(r rune) bool { return !nameRune(r) }) {
		return &Error{Msg: fmt.Sprintf("%q is not the name of an instance profile: IAM allows up to 128 letters, digits and _+=,.@-, and it is named without its path", text)}
	}
	return nil
}

// nameOfARN is the name in the ARN of a role, instance profile or the like.
func nameOfARN(arn string) Name {
	resource := arn[strings.LastIndexByte(arn, ':')+1:]
	_, rest, _ := strings.Cut(resource, "/")
	cut := strings.LastIndexByte(rest, '/') + 1
	return Name{Path: "/" + rest[:cut], Name: rest[cut:]}
}

// policyARN takes an ARN, or the name of a policy of AWS's own, with its path:
// "AmazonS3ReadOnlyAccess", "service-role/AmazonECSTaskExecutionRolePolicy".
func (a *Account) policyARN(text string) (string, error) {
	if !strings.HasPrefix(text, "arn:") {
		if text == "" || strings.ContainsFunc(text, func(r rune) bool { return !nameRune(r) && r != '/' }) {
			return "", &Error{Msg: fmt.Sprintf("%q is neither the ARN of a policy nor the name of one of AWS's", text),
				Next: "write arn:" + a.Partition + ":iam::" + a.ID + ":policy/NAME"}
		}
		return "arn:" + a.Partition + ":iam::aws:policy/" + text, nil
	}
	parts := strings.SplitN(text, ":", 6)
	switch {
	case len(parts) != 6 || parts[2] != "iam" || !strings.HasPrefix(parts[5], "policy/"):
		return "", &Error{Msg: fmt.Sprintf("%q is not the ARN of a policy", text), Next: "write arn:" + a.Partition + ":iam::" + a.ID + ":policy/NAME"}
	case parts[1] != a.Partition:
		return "", &Error{Msg: fmt.Sprintf("the policy %s is of the partition %s, and this account of %s", text, parts[1], a.Partition),
			Next: "write arn:" + a.Partition + ":" + strings.Join(parts[2:], ":")}
	}
	return text, nil
}
