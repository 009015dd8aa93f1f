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

func (a *app) roleRunCommand() *cobra.Command {
	var o rolePlan
	var role string
	w := roles.RunWanted{}
	launchTypes := []string{"EC2", "FARGATE", "EXTERNAL"}
	c := &cobra.Command{
		Use:   "run CLUSTER TASK-DEFINITION",
		Short: "Run an ECS task once with another task role",
		Long: `Run a task definition once with the task role of --role in place of its own, which stays
as it is.`,
		Example: `  rolecall role run prod web --role app
  rolecall role run prod web --role app --launch-type FARGATE --subnet subnet-0a1b --security-group sg-0c2d
  rolecall role run --role app --undo`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 || o.undo && len(args) == 0 {
				return nil
			}
			return wrongUsage("a cluster and a task definition are expected", c.CommandPath()+" prod web --role app")
		},
		RunE: func(c *cobra.Command, args []string) error {
			again := c.CommandPath() + " prod web --role app"
			if len(args) == 2 {
				w.Cluster, w.TaskDefinition = args[0], args[1]
				again = c.CommandPath() + " " + shellword.Word(w.Cluster) + " " + shellword.Word(w.TaskDefinition) + " --role app"
			}
			if role == "" {
				return wrongUsage("--role is missing", again)
			}
			n, err := roles.ParseName(role)
			if err != nil {
				return wrongUsage("--role: "+err.Error(), again)
			}
			again = strings.TrimSuffix(again, "app") + shellword.Word(role)
			if w.LaunchType = strings.ToUpper(w.LaunchType); w.LaunchType != "" && !slices.Contains(launchTypes, w.LaunchType) {
				return wrongUsage(fmt.Sprintf("--launch-type %q is none of %s", w.LaunchType, strings.Join(launchTypes, ", ")), again+" --launch-type FARGATE")
			}
			if w.Count < 1 || w.Count > 10 {
				return wrongUsage("--count is from 1 to 10", again)
			}
			if len(w.Subnets) == 0 && (len(w.SecurityGroups) > 0 || w.PublicIP) {
				return wrongUsage("--security-group and --public-ip go with --subnet", again+" --subnet subnet-0a1b")
			}
			w.Role = n
			return o.run(a, "run", func(_ *cobra.Command, work *roleWork) error {
				work.wanted = w
				work.plan = func(ctx context.Context, account *roles.Account) (*roles.Plan, error) {
					return account.PlanRunTask(ctx, w)
				}
				return nil
			})(c, []string{role})
		},
	}
	o.add(a, c)
	s := c.Flags()
	s.StringVar(&role, "role", "", "the task role: `NAME` or PATH/NAME")
	s.IntVar(&w.Count, "count", 1, "start so many tasks, 1 to 10")
	s.StringVar(&w.LaunchType, "launch-type", "", "`WHERE` it runs: EC2, FARGATE or EXTERNAL (default: as the cluster has it)")
	a.completeWords(c, "launch-type", launchTypes...)
	s.StringArrayVar(&w.Subnets, "subnet", nil, "the subnet with this `ID`, for the network mode awsvpc; may be repeated")
	s.StringArrayVar(&w.SecurityGroups, "security-group", nil, "the security group with this `ID`; may be repeated")
	s.BoolVar(&w.PublicIP, "public-ip", false, "give the task a public address")
	return c
}
