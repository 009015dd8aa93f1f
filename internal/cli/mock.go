package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/mock"
)

type mockOptions struct {
	imds, ecs      string
	beyondLoopback bool
	role           string
	account        string
	region         string
	lifetime       time.Duration
	ecsToken       string
	faults         []string
	v1Only, v2Only bool
	seed           uint64
	withStdin      bool
	json           bool
}

func (a *app) mockCommand() *cobra.Command {
	var o mockOptions
	c := &cobra.Command{
		Use:   "mock",
		Short: "Stand in for the EC2 and ECS credential services, and misbehave on command",
		Long: `Run an instance metadata service (IMDS v1 and v2) and a container credentials endpoint on
free ports of this machine, to test what a program does when they throttle, hang, or forget
their tokens. The credentials are made up. The first two lines on stdout are the URLs, and
say that it is ready; then there is a line for each request. Ctrl-C and SIGTERM end it with
exit code 0.

  --fault 'KIND[=VALUE] [CONDITION]...', which may be repeated:
` + mockForms() + `
Conditions: path=/latest/meta-data/* (* is anything, / too), on=imds or on=ecs, chance=20%,
count=3 (the next 3 requests), after=3 (not the first 3), and for throttle status=503.
While it runs, rolecall mock set, clear and status change and show them.`,
		Example: `  rolecall mock
  rolecall mock --fault throttle=20% --fault 'delay=1500ms path=/latest/meta-data/*' --seed 7
  rolecall mock --v2-only --fault token=timeout
  rolecall mock set --mock http://127.0.0.1:41231 --fault 'expire=90s count=1'`,
		Args: mockWords,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := o.config(c)
			if err != nil {
				return err
			}
			return a.mock(c.Context(), cfg, o.withStdin)
		},
	}
	f := c.Flags()
	f.StringVar(&o.imds, "imds", mockListen, "serve the metadata service at `ADDRESS:PORT`")
	f.StringVar(&o.ecs, "ecs", mockListen, "serve the container credentials at `ADDRESS:PORT`")
	f.BoolVar(&o.beyondLoopback, "beyond-loopback", false, "allow addresses that others can reach, who then get the made-up credentials")
	f.StringVar(&o.role, "role", "mock-role", "the `NAME` of the role")
	f.StringVar(&o.account, "account", "123456789012", "the account `ID` of the role")
	f.StringVar(&o.region, "region", "eu-west-1", "the `REGION` of the instance")
	f.DurationVar(&o.lifetime, "lifetime", 0, "how long credentials live, a `DURATION` (default 6h from IMDS, 1h from ECS)")
	f.StringVar(&o.ecsToken, "ecs-token", "", "a made-up `TOKEN` that the container endpoint asks for")
	a.faultFlag(c, &o.faults, "misbehave so, from the start: a `FAULT`; may be repeated")
	f.BoolVar(&o.v2Only, "v2-only", false, "IMDSv2 only: every GET needs a token")
	f.BoolVar(&o.v1Only, "v1-only", false, "IMDSv1 only: there are no tokens")
	f.Uint64Var(&o.seed, "seed", 0, "a `NUMBER` that makes percentages come out alike again (default any)")
	f.BoolVar(&o.withStdin, "exit-with-stdin", false, "end when stdin does: with the process that started the mock")
	f.BoolVar(&o.json, "json", false, "print requests as JSON, one a line")
	for _, flag := range []string{"imds", "ecs", "role", "account", "region", "lifetime", "ecs-token", "seed"} {
		a.complete(c, flag, cobra.NoFileCompletions)
	}
	c.AddCommand(a.mockSetCommand(), a.mockClearCommand(), a.mockStatusCommand())
	return c
}

const mockListen = "127.0.0.1:0"

// mockWords refuses every word but the commands of mock.
func mockWords(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	return nil
}

// mockForms are the faults as the help shows them.
func mockForms() string {
	var t table
	for _, f := range mock.Forms() {
		t.row("  "+f[0], f[1])
	}
	return strings.Join(t.lines(), "\n") + "\n"
}

// faultFlag adds --fault, with completion of the kinds.
func (a *app) faultFlag(c *cobra.Command, faults *[]string, usage string) {
	c.Flags().StringArrayVar(faults, "fault", nil, usage)
	var words []string
	for _, f := range mock.Forms() {
		words = append(words, cobra.CompletionWithDesc(f[0], f[1]))
	}
	a.completeWords(c, "fault", words...)
}

func (o *mockOptions) config(c *cobra.Command) (m mock.Config, err error) {
	if err := exclusive(c, "v1-only", "v2-only"); err != nil {
		return m, err
	}
	m = mock.Config{Role: o.role, Account: o.account, Region: o.region, Lifetime: o.lifetime, Seed: o.seed, ECSToken: o.ecsToken, JSON: o.json}
	imds, err := o.address("imds", o.imds)
	if err != nil {
		return m, err
	}
	ecs, err := o.address("ecs", o.ecs)
	if err != nil {
		return m, err
	}
	m.IMDS, m.ECS = imds.AddrPort, ecs.AddrPort
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	hint := c.CommandPath() + " --help"
	switch changed := c.Flags().Changed; {
	case o.role == "" || len(o.role) > 64 || strings.Trim(o.role, signs+"_+=,.@-") != "":
		return m, wrongUsage("--role: "+quoted(o.role)+" is no name of a role: 1 to 64 letters, digits and _+=,.@-", hint)
	case len(o.account) != 12 || strings.Trim(o.account, "0123456789") != "":
		return m, wrongUsage("--account: "+quoted(o.account)+" is not 12 digits", hint)
	case o.region == "" || len(o.region) > 32 || strings.Trim(o.region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return m, wrongUsage("--region: "+quoted(o.region)+" is no name of a region, such as eu-west-1", hint)
	case changed("lifetime") && (o.lifetime < time.Second || o.lifetime > 24*time.Hour):
		return m, wrongUsage("--lifetime is from 1s to 24h", c.CommandPath()+" --lifetime 15m")
	case changed("ecs-token") && (o.ecsToken == "" || len(o.ecsToken) > 1024 || strings.ContainsFunc(o.ecsToken, notInHeader)):
		return m, wrongUsage("--ecs-token is 1 to 1024 letters, digits and signs, without blanks", hint)
	}
	if !c.Flags().Changed("seed") {
		m.Seed = uint64(rand.Uint32())
	}
	switch {
	case o.v1Only:
		m.Mode = mock.V1Only
	case o.v2Only:
		m.Mode = mock.V2Only
	}
	m.Faults, err = parseFaults(o.faults)
	return m, err
}

// notInHeader holds for what a header's value should not have inside.
func notInHeader(r rune) bool { return r <= ' ' || r > '~' }

func (o *mockOptions) address(flag, text string) (config.ListenAddr, error) {
	at, err := config.ParseListen(text)
	if err != nil {
		return at, wrongUsage("--"+flag+": "+err.Error(), "rolecall mock --"+flag+" "+mockListen)
	}
	if !at.Loopback() && !o.beyondLoopback {
		return at, wrongUsage("--"+flag+" "+text+" can be reached from other machines", "rolecall mock --"+flag+" "+mockListen+", or add --beyond-loopback")
	}
	return at, nil
}

// parseFaults reads the values of --fault.
func parseFaults(texts []string) (faults []mock.Fault, err error) {
	for _, text := range texts {
		f, err := mock.ParseFault(text)
		if err != nil {
			return nil, faultUsage(err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// faultUsage is the error of a --fault that cannot be used.
func faultUsage(err error) error {
	var syntax *mock.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	hint := syntax.Hint()
	switch {
	case hint == "":
		hint = "rolecall mock --help"
	case !strings.HasPrefix(hint, "one of "):
		hint = "--fault '" + hint + "'"
	}
	return wrongUsage("--fault: "+syntax.Error(), hint)
}

func (a *app) mock(ctx context.Context, m mock.Config, withStdin bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if withStdin {
		go func() { // ends with the process: a read of stdin cannot be called off
			defer cancel()
			_, _ = io.Copy(io.Discard, a.stdin)
		}()
	}
	// A test suite may read the two URLs and close the pipe; the mock goes on without it.
	signal.Ignore(syscall.SIGPIPE)
	m.Out = a.stdout
	err := mock.Run(ctx, m)
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &op) && op.Addr != nil:
		return failed(op.Addr.String()+" is in use already, by another mock or another program", "rolecall mock --imds "+mockListen+" --ecs "+mockListen)
	case errors.Is(err, fs.ErrPermission):
		return failed(err.Error(), "choose a port from 1024 on, or 0 for any free one")
	}
	var syntax *mock.SyntaxError
	if errors.As(err, &syntax) { // faults that do not go together
		return faultUsage(err)
	}
	return err
}
