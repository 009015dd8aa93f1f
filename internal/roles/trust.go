package roles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Service is who a role is for.
type Service string

const (
	EC2          Service = "ec2"
	ECSTask      Service = "ecs-task"
	ECSExecution Service = "ecs-execution"
	Lambda       Service = "lambda"
	EKSPod       Service = "eks-pod"
)

// Services lists them in the order of the help.
func Services() []Service { return []Service{EC2, ECSTask, ECSExecution, Lambda, EKSPod} }

// serviceTrust is what a service needs in a trust policy.
type serviceTrust struct {
	principal string
	actions   []string
	// scoped: the service tells aws:SourceAccount when it assumes a role, by
	// its documentation. EC2 does not, so that a condition on it locks EC2 out.
	// Lambda does mostly, but not in all phases of making a function in a VPC.
	scoped   bool
	unscoped string // why the condition cannot be asked for; "" where it can
	usual    string // the policy of AWS's own that such a role nearly always has
}

func trustOf(s Service, partition string) (serviceTrust, bool) {
	assume := []string{"sts:AssumeRole"}
	switch s {
	case EC2:
		t := serviceTrust{principal: "ec2.amazonaws.com", actions: assume,
			unscoped: "EC2 does not tell aws:SourceAccount when it assumes a role: the condition would lock it out"}
		if partition == "aws-cn" {
			t.principal = "ec2.amazonaws.com.cn"
		}
		return t, true
	case ECSTask:
		return serviceTrust{principal: "ecs-tasks.amazonaws.com", actions: assume, scoped: true}, true
	case ECSExecution:
		return serviceTrust{principal: "ecs-tasks.amazonaws.com", actions: assume, scoped: true, usual: "service-role/AmazonECSTaskExecutionRolePolicy"}, true
	case Lambda:
		return serviceTrust{principal: "lambda.amazonaws.com", actions: assume, usual: "service-role/AWSLambdaBasicExecutionRole"}, true
	case EKSPod:
		return serviceTrust{principal: "pods.eks.amazonaws.com", actions: []string{"sts:AssumeRole", "sts:TagSession"}, scoped: true}, true
	}
	return serviceTrust{}, false
}

// principals are the names a service may have in a trust policy of the partition.
func (t serviceTrust) principals() []string {
	if base, ok := strings.CutSuffix(t.principal, ".cn"); ok {
		return []string{t.principal, base}
	}
	return []string{t.principal}
}

// trustPolicy is the trust policy for a service. scope nil: the condition where
// the service documents it.
func (a *Account) trustPolicy(s Service, scope *bool) (string, error) {
	t, ok := trustOf(s, a.Partition)
	if !ok {
		return "", &Error{Msg: fmt.Sprintf("%q is no service that a role can be made for", string(s)), Next: "write one of ec2, ecs-task, ecs-execution, lambda, eks-pod, or the file of a trust policy"}
	}
	scoped := t.scoped
	if scope != nil {
		if scoped = *scope; scoped && t.unscoped != "" {
			return "", &Error{Msg: t.unscoped, Next: "leave --source-account out"}
		}
	}
	// Ordered by hand, so that it reads as people write it.
	type conditions struct {
		StringEquals map[string]string
	}
	one := struct {
		Effect    string
		Principal map[string]string
		Action    any
		Condition *conditions `json:",omitempty"`
	}{Effect: "Allow", Principal: map[string]string{"Service": t.principal}, Action: t.actions[0]}
	if len(t.actions) > 1 {
		one.Action = t.actions
	}
	if scoped {
		one.Condition = &conditions{map[string]string{"aws:SourceAccount": a.ID}}
	}
	b, err := json.Marshal(struct {
		Version   string
		Statement []any
	}{"2012-10-17", []any{one}})
	return string(b), err
}

// refusal says why the trust policy text does not let a service assume the
// role, "" where it does.
func (a *Account) refusal(text string, s Service) string {
	t, ok := trustOf(s, a.Partition)
	if !ok {
		return "no such service"
	}
	d, err := parseDocument([]byte(text))
	if err != nil {
		return "the trust policy cannot be read"
	}
	why := fmt.Sprintf("the trust policy does not let %s assume it", t.principal)
	allowed := map[string]bool{}
	for _, st := range d.Statement {
		if !namesService(st, t.principals()) {
			continue
		}
		if st.Effect == "Deny" && len(st.Condition) == 0 {
			return fmt.Sprintf("the trust policy denies %s", t.principal)
		}
		if st.Effect != "Allow" {
			continue
		}
		if msg := a.conditionRefusal(st.Condition, t); msg != "" {
			why = msg
			continue
		}
		for _, action := range t.actions {
			if slices.ContainsFunc(st.Action, func(p string) bool { return matches(strings.ToLower(p), strings.ToLower(action)) }) {
				allowed[action] = true
			}
		}
	}
	for _, action := range t.actions {
		if !allowed[action] {
			if len(allowed) > 0 {
				return fmt.Sprintf("the trust policy does not allow %s %s", t.principal, action)
			}
			return why
		}
	}
	return ""
}

func namesService(st statement, principals []string) bool {
	if slices.Contains(st.Principal["AWS"], "*") {
		return true
	}
	return slices.ContainsFunc(st.Principal["Service"], func(p string) bool { return slices.Contains(principals, p) })
}

// conditionRefusal looks at the conditions that are known to lock a service
// out; others are taken to hold.
func (a *Account) conditionRefusal(c map[string]map[string][]string, t serviceTrust) string {
	for operator, keys := range c {
		if strings.HasSuffix(operator, "IfExists") || strings.Contains(operator, "Not") || operator == "Null" {
			continue
		}
		for key, wanted := range keys {
			if !strings.EqualFold(key, "aws:SourceAccount") && !strings.EqualFold(key, "aws:SourceArn") {
				continue
			}
			if t.unscoped != "" {
				return fmt.Sprintf("the trust policy asks %s for %s, which it does not tell", t.principal, key)
			}
			holds := func(v string) bool {
				if strings.EqualFold(key, "aws:SourceAccount") {
					return matches(v, a.ID)
				}
				parts := strings.SplitN(v, ":", 6)
				return len(parts) < 6 || matches(parts[4], a.ID)
			}
			if !slices.ContainsFunc(wanted, holds) {
				return fmt.Sprintf("the trust policy allows %s for another account only (%s)", t.principal, strings.Join(wanted, ", "))
			}
		}
	}
	return ""
}

// matches is IAM's: * is any text, ? any character.
func matches(pattern, text string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := range len(text) + 1 {
				if matches(pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case '?':
			if text == "" {
				return false
			}
		default:
			if text == "" || text[0] != pattern[0] {
				return false
			}
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}
