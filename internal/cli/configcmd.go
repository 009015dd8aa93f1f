package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/store"
)

const configSample = "rolecall config sample"

func (a *app) configCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Check the configuration file, print a sample, or its path",
		Example: `  rolecall config sample | install -D -m 600 /dev/stdin "$(rolecall config path)"
  rolecall config check && rolecall reload`,
	}, a.configCheckCommand(), a.configSampleCommand(), a.configPathCommand())
}

func (a *app) configCheckCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "check",
		Short:   "Say everything that is wrong with the configuration file",
		Example: "  rolecall config check --config ./config.toml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dirs, err := a.dirs()
			if err != nil && file == "" && a.getenv("ROLECALL_CONFIG") == "" {
				return err
			}
			s, err := a.readConfig(dirs, file)
			if err != nil {
				return err
			}
			where := s.Path
			if where == "" {
				where = dirs.Config + " is not there; the defaults"
			}
			if s.Store != config.StoreMemory {
				for _, problem := range store.Check(dirs.Store, fleetOf(s)) {
					f := asFailure(c.Context(), problem)
					a.warn("credentials will not be kept as the configuration says: "+f.msg, f.hint)
				}
			}
			_, err = fmt.Fprintf(a.stdout, "%s: fine\n", where)
			return err
		},
	}
	c.Flags().StringVar(&file, "config", "", "check this `FILE` (env ROLECALL_CONFIG)")
	return c
}

func (a *app) configSampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "sample",
		Short:   "Print a configuration file with all settings and their defaults",
		Example: "  rolecall config sample > config.toml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.stdout, config.Sample)
			return err
		},
	}
}

func (a *app) configPathCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "path",
		Short:   "Print the path of the configuration file",
		Example: "  $EDITOR \"$(rolecall config path)\"",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			path := a.getenv("ROLECALL_CONFIG")
			if path == "" {
				dirs, err := a.dirs()
				if err != nil {
					return err
				}
				path = dirs.Config
			}
			if _, err := fmt.Fprintln(a.stdout, path); err != nil {
				return err
			}
			if _, err := os.Stat(path); err != nil && os.IsNotExist(err) {
				fmt.Fprintln(a.stderr, "hint: it is not there yet; rolecall config sample prints one to begin with")
			}
			return nil
		},
	}
}
