package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print completion for bash, zsh, fish or powershell",
		Long:  `Print completion for a shell. It knows your profiles and the daemon's slots.`,
		Example: `  source <(rolecall completion bash)                                  # now; or for good:
  rolecall completion bash > ~/.local/share/bash-completion/completions/rolecall
  rolecall completion zsh > "${fpath[1]}/_rolecall"
  rolecall completion fish > ~/.config/fish/completions/rolecall.fish
  rolecall completion powershell >> $PROFILE`,
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return wrongUsage("one shell is expected: bash, zsh, fish or powershell", "rolecall completion bash")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return wrongUsage("there is no completion for "+quoted(args[0]), "rolecall completion bash|zsh|fish|powershell")
		},
	}
}

// complete sets the completion of a flag.
func (a *app) complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag does not exist: a mistake in this package, seen by every test
	}
}

func (a *app) completeWords(c *cobra.Command, flag string, words ...string) {
	a.complete(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeProfiles offers the profiles of the AWS files, those loaded last first.
func (a *app) completeProfiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	f, err := a.awsFiles()
	if err != nil || len(args) > 0 {
		return nil, directive
	}
	var words []string
	for _, p := range byRecency(profilesOf(f), a.recent()) {
		text := p.Kind
		if id := p.identity(); id != "" {
			text += " " + id
		}
		words = append(words, cobra.CompletionWithDesc(p.Name, visible(text)))
	}
	return words, directive
}

// completeSources offers profiles and the other kinds of sources.
func (a *app) completeSources(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	words, directive := a.completeProfiles(c, args, word)
	if len(args) > 0 {
		return nil, directive
	}
	return append(words,
		cobra.CompletionWithDesc("imds", "the role of this EC2 instance"),
		cobra.CompletionWithDesc("container", "the role of this ECS task or pod"),
		cobra.CompletionWithDesc("env", "the keys in the daemon's environment"),
		cobra.CompletionWithDesc("default", "what the SDKs find by themselves"),
		cobra.CompletionWithDesc("role:", "a role by its ARN"),
		cobra.CompletionWithDesc("fake", "made up, to try things out")), directive
}

// completeSlots offers the named slots of the daemon, if one answers at once.
func (a *app) completeSlots(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	st, err := a.status(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, s := range st.Slots {
		if s.Name != "" && !s.ByURL {
			words = append(words, cobra.CompletionWithDesc(s.Name, visible(s.State+" "+sourceWords(s))))
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
