package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
	"rolecall/internal/shellword"
)

// verified is what --json prints of role verify: names and meanings stay.
type verified struct {
	Role   string        `json:"role"`
	OK     bool          `json:"ok"` // no check failed
	Checks []roles.Check `json:"checks"`
}

func (a *app) roleVerifyCommand() *cobra.Command {
	var o roleCaller
	var instance, task string
	var here bool
	c := &cobra.Command{
		Use:   "verify NAME",
		Short: "Say step by step whether a role's credentials can arrive",
		Long: `Say step by step whether the credentials of the role NAME can arrive on an instance or in
a task: the trust policy, the instance profile, its association, the metadata service; the
task role and the containers' environment. On the instance itself, or in the task, it also
asks the metadata service, or the credentials endpoint, whether it hands out the role;
--here does only that, and needs no permission. Exit code 1 where a check failed.`,
		Example: `  rolecall role verify app --instance i-0123456789abcdef0
  rolecall role verify app --task prod/0123456789abcdef0123456789abcdef
  rolecall role verify app --here`,
		Args: oneRole,
		RunE: o.on(func(c *cobra.Command, n roles.Name) error {
			if err := exclusive(c, "instance", "task", "here"); err != nil {
				return err
			}
			if instance == "" && task == "" && !here {
				return wrongUsage("one of --instance, --task and --here is needed", c.CommandPath()+" "+shellword.Word(n.String())+" --instance i-0123456789abcdef0")
			}
			if instance != "" {
				if err := roles.CheckInstanceID(instance); err != nil {
					return wrongUsage(err.Error(), c.CommandPath()+" "+shellword.Word(n.String())+" --instance i-0123456789abcdef0")
				}
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			checks, err := a.verify(ctx, o, n, instance, task)
			if len(checks) > 0 || err == nil {
				if err := a.printChecks(o.json, n, checks); err != nil {
					return err
				}
			}
			if err != nil {
				return roleFailure(c.Context(), err)
			}
			if roles.Failed(checks) {
				return failed("the credentials of "+n.Name+" cannot arrive there", firstFix(checks))
			}
			return nil
		}),
	}
	o.add(a, c)
	s := c.Flags()
	s.StringVar(&instance, "instance", "", "the EC2 instance with this `ID`")
	s.StringVar(&task, "task", "", "the ECS `TASK`: its ARN, CLUSTER/ID, or the ID of one in the default cluster")
	s.BoolVar(&here, "here", false, "this instance or task, as an SDK here would ask")
	return c
}

// verify asks AWS, and where this is the instance or the task itself also what
// an SDK would ask.
func (a *app) verify(ctx context.Context, o roleCaller, n roles.Name, instance, task string) ([]roles.Check, error) {
	h := roles.Here{Getenv: a.getenv}
	if instance == "" && task == "" {
		if h.InTask() {
			return h.TaskChecks(ctx, n), nil
		}
		return h.InstanceChecks(ctx, n), nil
	}
	account, err := o.open(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	if task != "" {
		checks, err := account.VerifyTask(ctx, n, task)
		if err == nil && h.InThisTask(ctx, task) {
			checks = append(checks, h.TaskChecks(ctx, n)...)
		}
		return checks, err
	}
	checks, err := account.VerifyInstance(ctx, n, instance)
	if err == nil && h.InstanceID(ctx) == instance {
		checks = append(checks, h.InstanceChecks(ctx, n)...)
	}
	return checks, err
}

func firstFix(checks []roles.Check) string {
	for _, c := range checks {
		if c.Status == "failed" && c.Fix != "" {
			return c.Fix
		}
	}
	return ""
}

func (a *app) printChecks(asJSON bool, n roles.Name, checks []roles.Check) error {
	if asJSON {
		return writeJSON(a.stdout, verified{n.String(), !roles.Failed(checks), append([]roles.Check{}, checks...)})
	}
	colours := map[string]string{"ok": colourGreen, "warning": colourYellow, "failed": colourRed, "skipped": colourFaint}
	var t table
	for _, c := range checks {
		t.row(c.Status, c.Name, visible(c.Detail))
		if a.colours() {
			t.paint(0, colours[c.Status])
		}
		if c.Fix != "" {
			t.row("", "", "fix: "+visible(c.Fix))
		}
	}
	var errs []error
	for _, l := range t.lines() {
		_, err := fmt.Fprintln(a.stdout, l)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
