package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/creds"
	"rolecall/internal/roles"
	"rolecall/internal/shellword"
)

func (a *app) roleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "role",
		Short: "Set roles up on EC2 and ECS, and see that their credentials arrive",
		Long: `Set roles up for programs that run on EC2 and ECS, so that they need no access keys.
Each command looks at what is there, does what is missing, and waits until AWS has
settled; run again, it finds all as wanted. --dry-run prints what would be done and the
smallest IAM policy that the caller needs for it; --undo takes the last run back.

The caller's credentials are those of --source or --profile, else those of AWS_PROFILE,
else those of the daemon's default slot, else those that SDKs find by themselves.`,
		Example: `  rolecall role create app --for ec2 --policy AmazonS3ReadOnlyAccess
  rolecall role attach app --instance i-0123456789abcdef0
  rolecall role verify app --instance i-0123456789abcdef0
  rolecall role show app`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(a.roleCreateCommand(), a.roleAttachCommand(), a.roleDetachCommand(), a.roleRunCommand(), a.roleShowCommand(), a.roleVerifyCommand())
	return c
}

// roleCaller says as whom, and where, a role command works.
type roleCaller struct {
	source, profile, region string
	timeout                 time.Duration
	json                    bool

	arn    string // of the role, where it was named so
	getenv func(string) string
}

func (f *roleCaller) add(a *app, c *cobra.Command) {
	f.getenv = a.getenv
	s := c.Flags()
	s.StringVar(&f.source, "source", "", "work with the credentials of this `SOURCE`")
	a.complete(c, "source", a.completeSources)
	s.StringVar(&f.profile, "profile", "", "short for --source profile:`NAME`")
	a.complete(c, "profile", a.completeProfiles)
	s.StringVar(&f.region, "region", "", "`REGION` of the instances and clusters (else that of the credentials, or AWS_REGION)")
	s.DurationVar(&f.timeout, "timeout", 20*time.Minute, "give up after this `TIME`, waits included")
	s.BoolVar(&f.json, "json", false, "print it as JSON")
}

func (f *roleCaller) check(c *cobra.Command) error {
	if err := exclusive(c, "source", "profile"); err != nil {
		return err
	}
	if f.profile != "" {
		f.source = "profile:" + f.profile
	}
	if name := f.getenv("AWS_PROFILE"); name != "" && f.getenv("AWS_ACCESS_KEY_ID") == "" && !c.Flags().Changed("source") && !c.Flags().Changed("profile") {
		f.source = "profile:" + name // who names one here means it, whatever the daemon's default slot holds
	}
	if f.source != "" || c.Flags().Changed("source") || c.Flags().Changed("profile") {
		if err := checkSource(f.source); err != nil {
			return err
		}
	}
	if strings.Trim(f.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return wrongUsage("--region "+quoted(f.region)+" is not a region", c.CommandPath()+" --region eu-west-1")
	}
	if f.timeout <= 0 {
		return wrongUsage("--timeout is not a time above 0", c.CommandPath()+" --timeout 10m")
	}
	return nil
}

// open is the account that the caller works on. The caller ends what it returns.
func (f *roleCaller) open(ctx context.Context, a *app, progress func(roles.Event)) (*roles.Account, error) {
	r := a.resolver()
	client, err := r.HTTPClient()
	if err != nil {
		return nil, err
	}
	source := f.source
	if source == "" {
		source = "default"
	}
	region := f.region
	if region == "" && f.source == "" {
		if st, err := a.status(ctx); err == nil {
			if s := findSlot(st.Slots, ""); s != nil {
				region = s.Region
			}
		}
	}
	if region == "" {
		if s, err := r.Resolve(source); err == nil { // why it cannot be had, its credentials will say
			region = s.Region
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = a.getenv(name)
		}
	}
	account, err := roles.Open(ctx, roles.Config{
		Credentials: creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
			p := process{app: a, source: f.source}
			return p.credentials(ctx)
		}),
		Region:     region,
		HTTPClient: client,
		Endpoint: func(service string) (roles.Endpoint, error) {
			e, err := r.Endpoint(source, service, region)
			return roles.Endpoint(e), err
		},
		Progress: func(e roles.Event) {
			if e.State == "again" {
				fmt.Fprintln(a.stderr, visible("    "+e.Detail+"; asking again"))
			} else if progress != nil {
				progress(e)
			}
		},
	})
	if err == nil {
		err = account.Owns(f.arn)
	}
	return account, err
}

// oneRole is for commands on one role.
func oneRole(c *cobra.Command, args []string) error {
	example, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
	if len(args) == 2 && roles.CheckInstanceID(args[1]) == nil && c.Flags().Lookup("instance") != nil {
		example = c.CommandPath() + " " + shellword.Word(args[0]) + " --instance " + args[1]
	}
	if len(args) != 1 {
		return wrongUsage("the name of one role is expected", example)
	}
	if _, err := roles.ParseName(args[0]); err != nil {
		return wrongUsage(err.Error(), example)
	}
	return nil
}

// on is the RunE of a command on the role that its argument names.
func (f *roleCaller) on(do func(*cobra.Command, roles.Name) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		n, err := roles.ParseName(args[0])
		if err != nil {
			return err
		}
		if err := f.check(c); err != nil {
			return err
		}
		f.arn = args[0]
		return do(c, n)
	}
}

// journal is the directory of the records that --undo goes by, beside the store.
func (a *app) journal() (string, error) {
	d, err := a.dirs()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(d.Store), "role-journal"), nil
}
