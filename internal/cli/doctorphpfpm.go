package cli

import (
	"context"
	"fmt"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"rolecall/internal/doctor"
	"rolecall/internal/environ"
	"rolecall/internal/shellword"
)

type phpfpmOptions struct {
	config, binary, pool, slot   string
	apps                         []string
	fix, yes, allEnv, useOurself bool
}

func (a *app) doctorPHPFPMCommand(f *doctorFlags) *cobra.Command {
	var o phpfpmOptions
	c := &cobra.Command{
		Use:   "php-fpm",
		Short: "Why the workers of PHP-FPM get no credentials, and put it right",
		Long: `Find the running masters of PHP-FPM, read their pool files as FPM does, and ask a worker
of each pool what it sees: over FastCGI, with a small script that is removed at once and
reports values of no secret. Where a variable of the container, the service or this shell
does not reach the workers, the cause is named with file and line, and so is the change.
nginx, Apache, supervisord, cron, systemd and Laravel are looked at, too.

--fix shows the change as a diff, asks, keeps a backup beside each file, writes, has
php-fpm -t check it (and puts the old file back when that fails), reloads the master, and
asks the workers again. A reload does not change what the master itself was started with:
where that is the fault, only a restart helps, and rolecall says so.

--use-rolecall points the pools at the running daemon, so that each PHP request is answered
from memory on loopback: alone it prints the lines, with --fix it puts them in. Each pool's
user gets a copy of the authorization token that only this user can read.

As an ordinary user it sees less, and says what root would see more.`,
		Example: `  rolecall doctor php-fpm
  rolecall doctor php-fpm --fix
  rolecall doctor php-fpm --fix --all-env --yes
  rolecall doctor php-fpm --fpm-config /etc/php/8.2/fpm/php-fpm.conf --binary /usr/sbin/php-fpm8.2
  rolecall doctor php-fpm --use-rolecall --slot app --fix`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, f); err != nil {
				return err
			}
			return a.doctorPHPFPM(c.Context(), o, f)
		},
	}
	c.Flags().StringVar(&o.config, "fpm-config", "", "look only at the master with this main configuration `FILE`, also when none runs")
	c.Flags().StringVar(&o.binary, "binary", "", "php-fpm itself, to check changed files (default: what the master runs)")
	c.Flags().StringVar(&o.pool, "pool", "", "fix only the pool `NAME`")
	c.Flags().StringArrayVar(&o.apps, "app", nil, "look at the Laravel application in `DIR`, too (can be repeated)")
	c.Flags().BoolVar(&o.fix, "fix", false, "put it right, after showing the change and asking")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "with --fix: do not ask")
	c.Flags().BoolVar(&o.allEnv, "all-env", false, "with --fix: clear_env = no, and not variable by variable")
	c.Flags().BoolVar(&o.useOurself, "use-rolecall", false, "the lines that point the pools at the running daemon")
	a.slotFlag(c, &o.slot, "with --use-rolecall: the slot `NAME` and not the default one")
	return c
}

func (o phpfpmOptions) check(c *cobra.Command, f *doctorFlags) error {
	const name = "rolecall doctor php-fpm"
	switch {
	case (o.yes || o.allEnv) && !o.fix:
		return wrongUsage("--yes and --all-env go with --fix", name+" --fix")
	case o.allEnv && o.useOurself:
		return wrongUsage("--all-env and --use-rolecall cannot be used together", name+" --use-rolecall --fix")
	case o.slot != "" && !o.useOurself:
		return wrongUsage("--slot goes with --use-rolecall", name+" --use-rolecall --slot "+shellword.Word(o.slot))
	case o.pool != "" && !o.fix && !o.useOurself:
		return wrongUsage("--pool goes with --fix", name+" --fix --pool "+shellword.Word(o.pool))
	case o.fix && f.asJSON && !o.yes:
		return wrongUsage("--fix asks, and --json leaves no place for that", name+" --fix --yes --json")
	}
	return checkSlot(c, o.slot)
}

func (a *app) doctorPHPFPM(ctx context.Context, o phpfpmOptions, f *doctorFlags) error {
	for _, file := range []*string{&o.config, &o.binary} {
		if *file == "" {
			continue
		}
		full, err := filepath.Abs(*file)
		if err != nil {
			return err
		}
		*file = full
	}
	survey, err := doctor.SurveyPHPFPM(doctor.PHPFPMConfig{Main: o.config, Binary: o.binary, Environ: environ.Parse(a.environ()), Apps: o.apps, Offline: f.offline})
	if err != nil {
		return err
	}
	defer survey.Close()
	if !o.fix && !o.useOurself {
		return a.diagnose(ctx, survey.Checks(), f)
	}
	fix := doctor.FixOptions{AllEnv: o.allEnv, Pool: o.pool}
	if o.useOurself {
		st, err := a.status(ctx)
		if err != nil {
			return err
		}
		h, err := a.handoutOf(st, o.slot, "")
		if err != nil {
			return err
		}
		if findSlot(st.Slots, o.slot) == nil {
			a.warn(slotWords(o.slot)+" is empty", loadHint(o.slot))
		}
		fix.Rolecall = &doctor.Rolecall{URL: h.URL, TokenFile: h.TokenFile, Region: h.Region}
	}
	if !survey.HasPool(o.pool) {
		return failed("there is no pool "+quoted(o.pool), "rolecall doctor php-fpm --verbose")
	}
	planned := survey.PlanFixes(ctx, fix)
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.useOurself && !o.fix {
		return a.printSnippets(planned, o, f)
	}
	return a.applyFixes(ctx, survey, planned, o, f)
}

// again is the command with what was said before, and flags: without
// --fpm-config, say, it would be about every php-fpm of the machine.
func (o phpfpmOptions) again(flags ...string) string {
	for _, set := range []struct{ flag, value string }{{"--fpm-config", o.config}, {"--binary", o.binary}, {"--pool", o.pool}, {"--slot", o.slot}} {
		if set.value != "" {
			flags = append(flags, set.flag, shellword.Word(set.value))
		}
	}
	for flag, set := range map[string]bool{"--use-rolecall": o.useOurself, "--all-env": o.allEnv} {
		if set { // never both
			flags = append([]string{flag}, flags...)
		}
	}
	return "rolecall doctor php-fpm " + strings.Join(flags, " ")
}

// printSnippets are the lines that --fix would put in.
func (a *app) printSnippets(planned []*doctor.FPMFix, o phpfpmOptions, f *doctorFlags) error {
	if len(planned) == 0 {
		return failed("there is no pool to point at the daemon", "rolecall doctor php-fpm")
	}
	if f.asJSON {
		var lines []string
		tokens := []doctor.TokenCopy{}
		for _, p := range planned {
			lines = append(lines, strings.Split(strings.TrimSpace(p.Snippets()), "\n")...)
			tokens = append(tokens, p.Tokens...)
		}
		return writeJSON(a.stdout, struct {
			Lines  []string           `json:"lines"`
			Tokens []doctor.TokenCopy `json:"tokens"` // to be copied, for the pools' users alone
		}{lines, tokens})
	}
	for _, p := range planned {
		fmt.Fprint(a.stdout, visible(p.Snippets()))
		for _, t := range p.Tokens {
			fmt.Fprintf(a.stdout, "; %s must be a copy of %s that %s alone may read:\n;   install -m 400 -o %s %s %s\n", visible(t.To), visible(t.From), visible(t.User),
				shellword.Word(t.User), shellword.Word(t.From), shellword.Word(t.To))
		}
	}
	fmt.Fprintln(a.stderr, "hint: "+o.again("--fix"))
	return nil
}

// applyFixes shows what would be changed, asks, does it, and then looks again.
func (a *app) applyFixes(ctx context.Context, survey *doctor.PHPFPM, planned []*doctor.FPMFix, o phpfpmOptions, f *doctorFlags) error {
	// A terminal that closes must not leave files behind that php-fpm has not tested.
	whole := ctx
	ctx, stop := signal.NotifyContext(whole, syscall.SIGHUP)
	defer stop()
	if len(planned) == 0 {
		if !f.asJSON {
			fmt.Fprintln(a.stderr, "rolecall: no pool file needs a change")
		}
		return a.diagnose(ctx, survey.Checks(), f)
	}
	changes := 0
	for _, p := range planned {
		if p.Refused != "" {
			continue // there is nothing to agree to
		}
		if !f.asJSON {
			fmt.Fprint(a.stdout, visible(p.Diff()))
		}
		changes += len(p.Changes)
		for _, t := range p.Tokens {
			changes++
			if !f.asJSON {
				fmt.Fprintf(a.stdout, "%s becomes a copy of %s, for the user %s alone\n", visible(t.To), visible(t.From), visible(t.User))
			}
		}
	}
	if changes > 0 && !o.yes {
		switch yes, err := agreed(ctx, a.stdin, a.stderr, "apply this?"); {
		case err != nil:
			return err
		case !yes:
			return failed("nothing was changed", o.again("--fix", "--yes"))
		}
	}
	var report doctor.Report
	for _, p := range planned {
		report.Results = append(report.Results, p.Apply(ctx, func(step string) {
			if !f.asJSON {
				fmt.Fprintln(a.stderr, "rolecall: "+visible(step))
			}
		})...)
	}
	shown := *f
	shown.verbose = true // what was proved is the answer here
	err := a.showReport(report.Sorted(), &shown)
	if whole.Err() != nil {
		return whole.Err()
	}
	return err
}
