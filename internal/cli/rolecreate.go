package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
	"rolecall/internal/shellword"
)

type roleCreateOptions struct {
	rolePlan
	service       string
	sourceAccount bool
	policies      []string
	inline        []string
	boundary      string
	tags          []string
	description   string
	maxSession    time.Duration
}

func (a *app) roleCreateCommand() *cobra.Command {
	var o roleCreateOptions
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a role that a service can use, or compare it with what is wanted",
		Long: `Create the role NAME (or PATH/NAME) with a trust policy made for the service: ec2,
ecs-task (what the program in a task may do), ecs-execution (what ECS needs to start a
task), lambda, eks-pod, or the trust policy in a FILE. Where the service tells it, the
trust policy is bound to this account with aws:SourceAccount.

A role that is there is compared: "as wanted", or its differences and exit code 1; with
--apply they are brought in line. What it has beside what is named here stays.`,
		Example: `  rolecall role create app --for ec2 --policy AmazonS3ReadOnlyAccess
  rolecall role create team/worker --for ecs-task --inline queue=queue.json --tag team=shop
  rolecall role create app --for ec2 --policy AmazonS3ReadOnlyAccess --dry-run`,
		Args: oneRole,
		RunE: o.run(a, "create", func(c *cobra.Command, w *roleWork) error {
			wanted, err := o.wanted(c, w.role)
			w.wanted = wanted
			w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
				return account.PlanCreate(ctx, wanted)
			}
			return err
		}),
	}
	o.add(a, c)
	s := c.Flags()
	s.StringVar(&o.service, "for", "", "the `SERVICE` that uses the role: ec2, ecs-task, ecs-execution, lambda, eks-pod, or the file of a trust policy")
	a.complete(c, "for", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, one := range roles.Services() {
			words = append(words, string(one))
		}
		return words, cobra.ShellCompDirectiveDefault
	})
	s.BoolVar(&o.sourceAccount, "source-account", false, "bind the trust policy to this account with aws:SourceAccount, or =false: do not (default: where the service tells it)")
	s.StringArrayVar(&o.policies, "policy", nil, "attach the managed policy with this `ARN`, or the one of AWS's of this name; may be repeated")
	s.StringArrayVar(&o.inline, "inline", nil, "put the policy in this `FILE` (or NAME=FILE) into the role; may be repeated")
	s.StringVar(&o.boundary, "boundary", "", "`ARN` of the permissions boundary")
	s.StringArrayVar(&o.tags, "tag", nil, "tag the role: `KEY=VALUE`; may be repeated")
	s.StringVar(&o.description, "description", "", "a `TEXT` for people")
	s.DurationVar(&o.maxSession, "max-session", 0, "the longest session, 1h to 12h")
	s.BoolVar(&o.apply, "apply", false, "bring a role that is there in line")
	return c
}

// wanted reads flags and files. Its errors are wrong usage, or name the file.
func (o *roleCreateOptions) wanted(c *cobra.Command, n roles.Name) (roles.Wanted, error) {
	w := roles.Wanted{Name: n, Policies: o.policies, Boundary: o.boundary, Description: o.description, MaxSession: o.maxSession}
	help := c.CommandPath() + " " + shellword.Word(n.String()) + " --for " + forService(o.service)
	if o.service == "" {
		return w, wrongUsage("--for is missing: who uses the role?", help)
	}
	if slices.Contains(roles.Services(), roles.Service(o.service)) {
		w.For = roles.Service(o.service)
	} else {
		text, err := readPolicy(o.service, roles.TrustPolicy)
		if errors.Is(err, os.ErrNotExist) {
			return w, wrongUsage(fmt.Sprintf("--for %q is neither a service (ec2, ecs-task, ecs-execution, lambda, eks-pod) nor a file", o.service), help)
		}
		if err != nil {
			return w, err
		}
		w.Trust = text
	}
	if c.Flags().Changed("source-account") {
		if w.For == "" {
			return w, wrongUsage("--source-account is for the trust policies that are made here, and not for one of your own", help)
		}
		w.SourceAccount = &o.sourceAccount
	}
	if o.maxSession != 0 && (o.maxSession < time.Hour || o.maxSession > 12*time.Hour || o.maxSession%time.Second != 0) {
		return w, wrongUsage("--max-session is from 1h to 12h", help+" --max-session 4h")
	}
	for _, text := range o.policies {
		if _, err := os.Stat(text); err == nil && strings.HasSuffix(text, ".json") {
			return w, wrongUsage("--policy "+text+" is a file, and --policy takes ARNs, or names of AWS's own", help+" --inline "+shellword.Word(text))
		}
	}
	for _, text := range o.inline {
		name, file, ok := strings.Cut(text, "=")
		if !ok {
			file = text
			name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		}
		if _, err := roles.ParseName(name); err != nil || strings.Contains(name, "/") {
			return w, wrongUsage(fmt.Sprintf("--inline: %q is no name for a policy; the policy itself is given in a file", name), help+" --inline queue=queue.json")
		}
		if _, twice := w.Inline[name]; twice {
			return w, wrongUsage(fmt.Sprintf("--inline: there are two policies of the name %q", name), help+" --inline queue=queue.json --inline other="+shellword.Word(file))
		}
		policy, err := readPolicy(file, roles.PermissionPolicy)
		if errors.Is(err, os.ErrNotExist) {
			return w, wrongUsage("--inline: there is no file "+file+", and a policy is given in a file", help+" --inline queue.json")
		}
		if err != nil {
			return w, err
		}
		if w.Inline == nil {
			w.Inline = map[string]string{}
		}
		w.Inline[name] = policy
	}
	for _, text := range o.tags {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return w, wrongUsage(fmt.Sprintf("--tag %q is not KEY=VALUE", text), help+" --tag team=shop")
		}
		if _, twice := w.Tags[key]; twice {
			return w, wrongUsage("--tag "+key+" is there twice", help+" --tag "+shellword.Word(text))
		}
		if w.Tags == nil {
			w.Tags = map[string]string{}
		}
		w.Tags[key] = value
	}
	return w, nil
}

// forService is the service that text most likely stands for.
func forService(text string) string {
	switch low := strings.ToLower(text); low {
	case "ecs", "ecs-tasks", "fargate", "task":
		return string(roles.ECSTask)
	case "eks", "pod":
		return string(roles.EKSPod)
	default:
		var words []string
		for _, one := range roles.Services() {
			if words = append(words, string(one)); low == string(one) {
				return low
			}
		}
		if near := shellword.Nearest(low, words); near != "" {
			return near
		}
		return string(roles.EC2)
	}
}

// readPolicy reads a file. An error has a hint, or is that there is no file.
func readPolicy(file string, kind roles.PolicyKind) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	const most = 64 << 10            // IAM's limits are far below
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", failed("the policy cannot be read: "+err.Error(), "name a file with a policy")
	}
	if len(text) > most {
		return "", failed("the file "+file+" is larger than any policy", "name a file with a policy")
	}
	return roles.ParsePolicy(file, text, kind)
}
