package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
	"rolecall/internal/shellword"
)

// roleTargets are what a role is given to: instances, or a task definition.
type roleTargets struct {
	instances  []string
	tags       []string
	definition string
	services   []string
	noWait     bool

	selection roles.Selection
	rolled    []roles.ServiceName
	again     string // the command line as far as it is right
}

func (t *roleTargets) add(c *cobra.Command) {
	s := c.Flags()
	s.StringArrayVar(&t.instances, "instance", nil, "the EC2 instance with this `ID`; may be repeated")
	s.StringArrayVar(&t.tags, "tag", nil, "the EC2 instances with this tag: `KEY=VALUE`, where * stands for any text; all of several must hold")
	s.StringVar(&t.definition, "task-definition", "", "the ECS task definition `FAMILY`, FAMILY:REVISION or ARN")
	s.StringArrayVar(&t.services, "update-service", nil, "let this service run the new revision: `CLUSTER/SERVICE`; may be repeated")
	s.BoolVar(&t.noWait, "no-wait", false, "do not wait until the services run it")
}

// check wants instances or a task definition, and not both.
func (t *roleTargets) check(c *cobra.Command, name string) error {
	t.again = c.CommandPath() + " " + shellword.Word(name)
	if err := exclusive(c, "instance", "tag", "task-definition"); err != nil {
		return err
	}
	if len(t.instances)+len(t.tags) == 0 && t.definition == "" {
		return wrongUsage("nothing is named that has the role, or is to have it", t.again+" --instance i-0123456789abcdef0")
	}
	if t.definition == "" && (len(t.services) > 0 || t.noWait) {
		return wrongUsage("--update-service and --no-wait go with --task-definition", t.again+" --task-definition web --update-service prod/web")
	}
	t.selection = roles.Selection{IDs: t.instances, Tags: map[string]string{}}
	for _, id := range t.instances {
		if err := roles.CheckInstanceID(id); err != nil {
			return wrongUsage(err.Error(), t.again+instead(id))
		}
	}
	for _, text := range t.tags {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || value == "" {
			return wrongUsage(fmt.Sprintf("--tag %q is not KEY=VALUE", text), t.again+" --tag 'Name=web-*'")
		}
		if _, twice := t.selection.Tags[key]; twice {
			return wrongUsage("--tag "+key+" is there twice, and all of several must hold", t.again+" --tag "+shellword.Word(text))
		}
		t.selection.Tags[key] = value
	}
	if t.definition != "" {
		t.again += " --task-definition " + shellword.Word(t.definition)
	}
	for _, text := range t.services {
		n, err := roles.ParseServiceName(text)
		if err != nil {
			return wrongUsage("--update-service: "+err.Error(), t.again+" --update-service prod/web")
		}
		t.rolled = append(t.rolled, n)
	}
	for _, id := range t.instances {
		t.again += " --instance " + id
	}
	for _, text := range t.tags {
		t.again += " --tag " + shellword.Word(text)
	}
	return nil
}

// instead is what to type for an instance's id that is none: a list of them, a
// slip, or a name.
func instead(text string) (flags string) {
	for id := range strings.SplitSeq(text, ",") {
		if roles.CheckInstanceID(id) != nil {
			if strings.HasPrefix(text, "i-") {
				return " --instance i-0123456789abcdef0"
			}
			return " --tag " + shellword.Word("Name="+text)
		}
		flags += " --instance " + id
	}
	return flags
}

// planTasks lets w plan what is wanted of a task definition.
func (t *roleTargets) planTasks(w *roleWork, detach bool) {
	wanted := roles.TaskWanted{Role: w.role, TaskDefinition: t.definition, Services: t.rolled, NoWait: t.noWait, Detach: detach}
	w.wanted = wanted
	w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
		return account.PlanTaskDefinition(ctx, wanted)
	}
}

func (a *app) roleAttachCommand() *cobra.Command {
	var o rolePlan
	var t roleTargets
	var profile, tokens string
	var hops int
	c := &cobra.Command{
		Use:   "attach NAME",
		Short: "Give a role to EC2 instances, or to an ECS task definition",
		Long: `Give the role NAME to EC2 instances: an instance profile is made if there is none, the
role put in, and the profile associated with the instances; it waits until AWS has
settled. An instance that has another profile is asked about first.

Or to an ECS task definition: a new revision is registered that differs in its task role
only, and --update-service lets services run it.`,
		Example: `  rolecall role attach app --instance i-0123456789abcdef0
  rolecall role attach app --tag 'Name=web-*' --metadata-hop-limit 2 --metadata-tokens required
  rolecall role attach app --task-definition web --update-service prod/web`,
		Args: oneRole,
		RunE: o.run(a, "attach", func(c *cobra.Command, w *roleWork) error {
			if err := t.check(c, w.role.String()); err != nil {
				return err
			}
			if t.definition != "" {
				if profile != "" || tokens != "" || hops != 0 {
					return wrongUsage("--instance-profile and --metadata-… are for instances", t.again)
				}
				t.planTasks(w, false)
				return nil
			}
			if c.Flags().Changed("metadata-hop-limit") && (hops < 1 || hops > 64) {
				return wrongUsage("--metadata-hop-limit is from 1 to 64", t.again+" --metadata-hop-limit 2")
			}
			if tokens != "" && !slices.Contains([]string{"required", "optional"}, tokens) {
				return wrongUsage("--metadata-tokens is required or optional", t.again+" --metadata-tokens required")
			}
			if c.Flags().Changed("instance-profile") {
				if err := roles.CheckProfileName(profile); err != nil {
					return wrongUsage("--instance-profile: "+err.Error(), t.again+" --instance-profile "+w.role.Name)
				}
			}
			wanted := roles.InstanceWanted{Role: w.role, Instances: t.selection, Profile: profile, HopLimit: hops, Tokens: tokens}
			w.wanted = wanted
			w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
				return account.PlanAttachInstances(ctx, wanted)
			}
			return nil
		}),
	}
	o.add(a, c)
	t.add(c)
	s := c.Flags()
	s.StringVar(&profile, "instance-profile", "", "the instance profile of this `NAME`, made if it is not there (default: the one that holds the role, else one of its name)")
	s.IntVar(&hops, "metadata-hop-limit", 0, "let the metadata service's answers travel `N` hops: 2 for containers")
	s.StringVar(&tokens, "metadata-tokens", "", "`WHETHER` the metadata service asks for tokens (IMDSv2): required or optional")
	a.completeWords(c, "metadata-tokens", "required", "optional")
	return c
}

func (a *app) roleDetachCommand() *cobra.Command {
	var o rolePlan
	var t roleTargets
	c := &cobra.Command{
		Use:   "detach NAME",
		Short: "Take a role from EC2 instances, or from an ECS task definition",
		Long: `Take the role NAME from EC2 instances: the association of the instance profile that holds
it ends; profile and role stay. Instances with another profile are left alone.

Or from an ECS task definition: a new revision is registered without a task role.`,
		Example: `  rolecall role detach app --instance i-0123456789abcdef0
  rolecall role detach app --task-definition web --update-service prod/web`,
		Args: oneRole,
		RunE: o.run(a, "detach", func(c *cobra.Command, w *roleWork) error {
			if err := t.check(c, w.role.String()); err != nil {
				return err
			}
			if t.definition != "" {
				t.planTasks(w, true)
				return nil
			}
			w.wanted = t.selection
			w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
				return account.PlanDetachInstances(ctx, w.role, t.selection)
			}
			return nil
		}),
	}
	o.add(a, c)
	t.add(c)
	return c
}
