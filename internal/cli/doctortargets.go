package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"rolecall/internal/doctor"
	"rolecall/internal/source"
)

func (a *app) doctorContainerCommand(f *doctorFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "container NAME",
		Short: "Look at the program of a container (Docker socket)",
		Long: `Look at the program of a container. The container engine is asked at its unix socket
(DOCKER_HOST, else /var/run/docker.sock) for the container's process; as root that process
is looked at, else the variables that the container was made with.`,
		Example: "  rolecall doctor container app\n  DOCKER_HOST=unix:///run/user/1000/docker.sock rolecall doctor container app",
		Args:    oneName("container"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			socket := doctor.DockerSocket(a.getenv("DOCKER_HOST"))
			if socket == "" {
				return failed("DOCKER_HOST names no unix socket of this machine", "export DOCKER_HOST=unix:///var/run/docker.sock")
			}
			p, err := doctor.Docker{Socket: socket}.Container(c.Context(), args[0])
			if err != nil {
				return err
			}
			if f.sdk != "" {
				p.SDK = f.sdk
			}
			config := a.doctorConfig(f)
			config.Daemon = "" // this user's, and not the container's
			return a.diagnose(c.Context(), doctor.Inspect(p, config), f)
		},
	}
}

// oneName is for commands that take the name of one thing.
func oneName(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return wrongUsage(fmt.Sprintf("the name of one %s is expected", what), c.CommandPath()+" NAME")
		}
		return nil
	}
}

func (a *app) doctorECSCommand(f *doctorFlags) *cobra.Command {
	return a.doctorEndpoint(f, doctor.KindContainer, "AWS_CONTAINER_CREDENTIALS_FULL_URI", &cobra.Command{
		Use:   "ecs",
		Short: "Look at the container credentials endpoint",
		Long: `Look at the container credentials endpoint that the variables name (that of ECS, EKS Pod
Identity, or rolecall): whether SDKs take its URL and token, what it answers, how fast, and
how long its credentials live.`,
		Example: "  rolecall doctor ecs\n  rolecall doctor ecs --url http://127.0.0.1:4144/slot/dev",
	})
}

func (a *app) doctorIMDSCommand(f *doctorFlags) *cobra.Command {
	return a.doctorEndpoint(f, doctor.KindIMDS, "AWS_EC2_METADATA_SERVICE_ENDPOINT", &cobra.Command{
		Use:   "imds",
		Short: "Look at the instance metadata service",
		Long: `Walk through the instance metadata service as SDKs do: the token (hop limit, time-outs,
status 403), whether IMDSv1 is on, the role, its credentials and how long they live, and
how far this machine's clock is off. The endpoint is that of the settings.`,
		Example: "  rolecall doctor imds\n  rolecall doctor imds --url http://127.0.0.1:1338",
	})
}

// doctorEndpoint is a command for one kind of endpoint; --url stands for the
// variable.
func (a *app) doctorEndpoint(f *doctorFlags, kind doctor.Kind, variable string, c *cobra.Command) *cobra.Command {
	url := ""
	c.Args = noArgs
	c.Flags().StringVar(&url, "url", "", "ask there, and not where the settings say")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.check(); err != nil {
			return err
		}
		p := a.shell(f)
		if url != "" {
			p.Env = doctor.NewEnviron(append([]string{variable + "=" + url}, without(a.environ(),
				variable, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_DISABLED")...))
		}
		config := a.doctorConfig(f)
		config.Only = kind
		if kind == doctor.KindIMDS {
			config.Daemon = ""
		}
		f.verbose = true // who asks about one thing wants to see it
		return a.diagnose(c.Context(), doctor.Inspect(p, config), f)
	}
	return c
}

// without is env without some variables.
func without(env []string, names ...string) (kept []string) {
	for _, e := range env {
		drop := false
		for _, n := range names {
			drop = drop || len(e) > len(n) && e[:len(n)+1] == n+"="
		}
		if !drop {
			kept = append(kept, e)
		}
	}
	return kept
}

func (a *app) doctorProfileCommand(f *doctorFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "profile NAME",
		Short: "Resolve a profile step by step, and ask AWS whose it is",
		Long: `Resolve a profile step by step, with file and line of each value: where the chain of
source_profile breaks, typos in role_arn and region, a sign-in that has ended, a
credential_process that is not there or writes no JSON. Then its credentials are fetched,
as the daemon fetches them, and STS is asked whose they are. --offline leaves that out.`,
		Example: "  rolecall doctor profile dev\n  rolecall doctor profile dev --offline --json",
		Args:    oneName("profile"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			resolve := doctor.SourceResolve(source.Config{Getenv: a.getenv, Environ: a.environ, Home: a.home(), SSOSessions: a.ssoSessionsFile(), Sessions: a.heldSessions()})
			f.verbose = true
			return a.diagnose(c.Context(), doctor.InspectProfile(args[0], a.shell(f), doctor.Config{Offline: f.offline}, resolve), f)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			files, err := a.awsFiles()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return files.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	return c
}
