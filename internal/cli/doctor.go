package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/doctor"
)

// doctorFlags are those of every doctor command.
type doctorFlags struct {
	asJSON, verbose bool
	offline         bool
	sdk             string
}

func (a *app) doctorCommand() *cobra.Command {
	f := &doctorFlags{}
	pid := 0
	c := &cobra.Command{
		Use:   "doctor [--pid N | -- CMD [ARG]...]",
		Short: "Find out why a program gets no credentials, and what to change",
		Long: `Look at a program as its AWS SDK sees the world, name the one cause why it gets no
credentials, show the evidence with file and line, and the exact change. Without arguments
the program is this shell; --pid looks at a running process (Linux), and -- CMD runs a
program and looks at it, and at the error that it ends with.

The credential chain is walked as each SDK (PHP, Python/CLI, JavaScript, Go, Java, Ruby,
.NET, Rust, C++) walks it: the first match, what hides what, what answers and how fast, and
what differs between SDKs. No secret is ever shown, and nothing is changed.

Exit codes: 0 nothing is wrong, 1 something is.`,
		Example: `  rolecall doctor
  rolecall doctor --pid 4711 --sdk php
  rolecall doctor -- php artisan queue:work --once
  rolecall doctor --json | jq '.results[0]'`,
		Args: func(c *cobra.Command, args []string) error {
			switch dash := c.ArgsLenAtDash(); {
			case dash > 0 || dash < 0 && len(args) > 0:
				return unknownCommand(c, args[0])
			case dash == 0 && len(args) == 0:
				return wrongUsage("no program is named after --", "rolecall doctor -- CMD ARG...")
			case dash == 0 && c.Flags().Changed("pid"):
				return wrongUsage("--pid and a program cannot be used together", "rolecall doctor --help")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			switch {
			case len(args) > 0:
				return a.doctorRun(c.Context(), args, f)
			case c.Flags().Changed("pid"):
				return a.doctorPID(c.Context(), pid, f)
			}
			return a.doctorShell(c.Context(), f)
		},
	}
	c.PersistentFlags().BoolVar(&f.asJSON, "json", false, "print all results as JSON")
	c.PersistentFlags().BoolVarP(&f.verbose, "verbose", "v", false, "show every check, also those that found nothing wrong")
	c.PersistentFlags().BoolVar(&f.offline, "offline", false, "ask no endpoint; look at variables, files and processes only")
	c.PersistentFlags().StringVar(&f.sdk, "sdk", "", "the program uses this `SDK`: php, python, node, go, java, ruby, dotnet, rust, cpp")
	c.Flags().IntVar(&pid, "pid", 0, "look at the running process `N`")
	c.AddCommand(a.doctorCommands(f)...)
	return c
}

// doctorCommands are the targets that doctor can be asked about; each has a
// file of its own (doctorNAME.go) and ends with diagnose.
func (a *app) doctorCommands(f *doctorFlags) []*cobra.Command {
	return []*cobra.Command{
		a.doctorContainerCommand(f),
		a.doctorECSCommand(f),
		a.doctorIMDSCommand(f),
		a.doctorProfileCommand(f),
		a.doctorExplainCommand(f),
		a.doctorPHPFPMCommand(f),
	}
}

func (f *doctorFlags) check() error {
	if f.sdk != "" && !doctor.KnowsSDK(f.sdk) {
		return wrongUsage("--sdk "+quoted(f.sdk)+" is none that doctor knows", "rolecall doctor --sdk php (or python, node, go, java, ruby, dotnet, rust, cpp)")
	}
	return nil
}

// diagnose runs the checks, shows what they found, and ends with exit code 1
// when something is wrong.
func (a *app) diagnose(ctx context.Context, checks []doctor.Check, f *doctorFlags) error {
	r := doctor.Run(ctx, checks)
	if err := ctx.Err(); err != nil {
		return err
	}
	return a.showReport(r.Confirmed(), f)
}

// showReport is diagnose for results that are there already.
func (a *app) showReport(r doctor.Report, f *doctorFlags) error {
	var err error
	if f.asJSON {
		err = writeJSON(a.stdout, reportJSON(r))
	} else {
		err = writeReport(a.stdout, r, f.verbose, a.colours())
	}
	if err == nil && !r.Healthy() {
		return silent{exitFailed}
	}
	return err
}

// report is doctor's answer to machines.
type report struct {
	Healthy bool            `json:"healthy"`
	Summary string          `json:"summary"`
	Cause   string          `json:"cause,omitempty"`
	Seconds float64         `json:"seconds"`
	Results []doctor.Result `json:"results"`
}

func reportJSON(r doctor.Report) report {
	results := r.Results
	if results == nil {
		results = []doctor.Result{}
	}
	return report{r.Healthy(), r.Summary(), r.Cause(), r.Took.Seconds(), results}
}

// writeReport writes the summary line, then each fault with its evidence and
// its fixes; with verbose also the checks that found none.
func writeReport(w io.Writer, r doctor.Report, verbose, colours bool) error {
	p := &printer{w: w, colours: colours}
	switch {
	case !r.Healthy():
		p.line(colourRed, "✗ ", r.Summary())
	case r.Count(doctor.Warning) > 0:
		p.line(colourYellow, "! ", r.Summary())
	default:
		p.line(colourGreen, "✓ ", r.Summary())
	}
	hidden := 0
	for _, res := range r.Results {
		if !verbose && (res.Outcome == doctor.OK || res.Outcome == doctor.Skipped) {
			if res.Outcome == doctor.Skipped {
				hidden++
			}
			continue
		}
		p.blank()
		p.result(res)
	}
	if hidden > 0 {
		p.blank()
		p.text("", fmt.Sprintf("checks that could not be made: %d; --verbose says why", hidden), colourFaint)
	}
	return p.err
}

// printer writes lines and remembers the first error.
type printer struct {
	w       io.Writer
	colours bool
	err     error
}

func (p *printer) put(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s+"\n")
	}
}

func (p *printer) blank() { p.put("") }

// line begins with a mark, which alone has the colour.
func (p *printer) line(colour, mark, text string) {
	p.put(paint(mark, colour, p.colours) + visible(text))
}

// text is indented as a whole, line by line.
func (p *printer) text(indent, text, colour string) {
	for _, l := range strings.Split(visible(text), "\n") {
		if colour != "" {
			l = paint(l, colour, p.colours)
		}
		p.put(indent + l)
	}
}

func (p *printer) result(r doctor.Result) {
	mark, colour := "✓ ", colourGreen
	switch r.Outcome {
	case doctor.Failed:
		mark, colour = "✗ ", colourRed
	case doctor.Warning:
		mark, colour = "! ", colourYellow
	case doctor.Skipped:
		mark, colour = "- ", colourFaint
	}
	summary := r.Summary
	if r.Target != "" {
		summary = r.Target + ": " + summary
	}
	p.line(colour, mark, summary)
	if r.Why != "" {
		p.text("  ", r.Why, "")
	}
	for _, e := range r.Evidence {
		switch {
		case e.Where == "":
			p.text("  ", e.Text, "")
		case e.Text == "":
			p.text("  ", e.Where, colourFaint)
		default:
			p.put("  " + paint(visible(e.Where), colourFaint, p.colours) + "   " + strings.ReplaceAll(visible(e.Text), "\n", "\n    "))
		}
	}
	for i, f := range r.Fixes {
		word := "fix: "
		if i > 0 {
			word = "or   "
		}
		p.put("  " + paint(word, colourGreen, p.colours) + visible(fixWords(f)))
	}
}

// fixWords is a fix in one line: what, where, and the command.
func fixWords(f doctor.Fix) string {
	var parts []string
	if f.Text != "" {
		parts = append(parts, f.Text)
	}
	if f.Where != "" {
		parts = append(parts, "in "+f.Where)
	}
	words := strings.Join(parts, " ")
	switch {
	case words == "":
		return f.Command
	case f.Command == "":
		return words
	}
	return words + ": " + f.Command
}
