package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
	"rolecall/internal/typed"
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
	help := c.CommandPath() + " " + name + " --instance i-0123456789abcdef0"
	if err := exclusive(c, "instance", "tag", "task-definition"); err != nil {
		return err
	}
	if len(t.instances)+len(t.tags) == 0 && t.definition == "" {
		return wrongUsage("nothing is named that has the role, or is to have it", help)
	}
	if t.definition == "" && (len(t.services) > 0 || t.noWait) {
		return wrongUsage("--update-service and --no-wait go with --task-definition", c.CommandPath()+" "+name+" --task-definition web --update-service prod/web")
	}
	for _, id := range t.instances {
		if err := roles.CheckInstanceID(id); err != nil {
			return wrongUsage(err.Error(), c.CommandPath()+" "+name+" --tag Name="+typed.Word(id))
		}
	}
	t.selection = roles.Selection{IDs: t.instances, Tags: map[string]string{}}
	for _, text := range t.tags {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" || value == "" {
			return wrongUsage(fmt.Sprintf("--tag %q is not KEY=VALUE", text), c.CommandPath()+" "+name+" --tag 'Name=web-*'")
		}
		t.selection.Tags[key] = value
	}
	for _, text := range t.services {
		n, err := roles.ParseServiceName(text)
		if err != nil {
			return wrongUsage("--update-service: "+err.Error(), c.CommandPath()+" "+name+" --task-definition "+t.definition+" --update-service prod/web")
		}
		t.rolled = append(t.rolled, n)
	}
	return nil
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
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			n, err := roleName(c, args[0])
			if err != nil {
				return err
			}
			w := roleWork{app: a, rolePlan: o, command: "attach", role: n}
			if o.undo {
				return w.do(c.Context())
			}
			if err := t.check(c, n.String()); err != nil {
				return err
			}
			if t.definition != "" {
				if profile != "" || tokens != "" || hops != 0 {
					return wrongUsage("--instance-profile and --metadata-… are for instances", c.CommandPath()+" "+n.String()+" --task-definition "+t.definition)
				}
				wanted := roles.TaskWanted{Role: n, TaskDefinition: t.definition, Services: t.rolled, NoWait: t.noWait}
				w.wanted = wanted
				w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
					return account.PlanTaskDefinition(ctx, wanted)
				}
				return w.do(c.Context())
			}
			if c.Flags().Changed("metadata-hop-limit") && (hops < 1 || hops > 64) {
				return wrongUsage("--metadata-hop-limit is from 1 to 64", c.CommandPath()+" "+n.String()+" --metadata-hop-limit 2")
			}
			if tokens != "" && !slices.Contains([]string{"required", "optional"}, tokens) {
				return wrongUsage("--metadata-tokens is required or optional", c.CommandPath()+" "+n.String()+" --metadata-tokens required")
			}
			wanted := roles.InstanceWanted{Role: n, Instances: t.selection, Profile: profile, HopLimit: hops, Tokens: tokens}
			w.wanted = wanted
			w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
				return account.PlanAttachInstances(ctx, wanted)
			}
			return w.do(c.Context())
		},
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
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			n, err := roleName(c, args[0])
			if err != nil {
				return err
			}
			w := roleWork{app: a, rolePlan: o, command: "detach", role: n}
			if o.undo {
				return w.do(c.Context())
			}
			if err := t.check(c, n.String()); err != nil {
				return err
			}
			w.wanted = t.selection
			w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
				return account.PlanDetachInstances(ctx, n, t.selection)
			}
			if t.definition != "" {
				wanted := roles.TaskWanted{Role: n, TaskDefinition: t.definition, Services: t.rolled, NoWait: t.noWait, Detach: true}
				w.wanted = wanted
				w.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
					return account.PlanTaskDefinition(ctx, wanted)
				}
			}
			return w.do(c.Context())
		},
	}
	o.add(a, c)
	t.add(c)
	return c
}
