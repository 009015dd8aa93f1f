package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what is known of this binary.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildOf takes what the linker was told, else what the toolchain wrote down.
func buildOf(version string) build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" && ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "dev"
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  rolecall version --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := a.version
			if asJSON {
				return writeJSON(a.stdout, b)
			}
			commit := ""
			if b.Commit != "" {
				commit = ", commit " + b.Commit[:min(12, len(b.Commit))]
			}
			if b.Modified {
				commit += " and changes"
			}
			_, err := fmt.Fprintf(a.stdout, "rolecall %s (%s, %s%s)\n", b.Version, b.Platform, b.Go, commit)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}
