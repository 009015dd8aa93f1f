package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/doctor"
)

// maxExplained is how much of the end of stdin is explained.
const maxExplained = 4 << 20

func (a *app) doctorExplainCommand(f *doctorFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [TEXT]",
		Short: "Say what an SDK's error text means",
		Long: `Say what an error text of an AWS SDK, the AWS CLI or cURL means: the likely causes, the most
likely first, with the command that tells them apart and the fix. Without TEXT it is read
from stdin, so that a whole log may be piped in.

Exit codes: 0 the text is known, 1 it is not.`,
		Example: `  rolecall doctor explain "cURL error 28: Connection timed out after 1000 milliseconds"
  tail -100 storage/logs/laravel.log | rolecall doctor explain`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			text := strings.Join(args, " ")
			if len(args) == 0 {
				if terminal(a.stdin) {
					return wrongUsage("no text is given, and stdin is a terminal", `rolecall doctor explain "TEXT"`)
				}
				end := &tail{max: maxExplained}
				if _, err := io.Copy(end, a.stdin); err != nil {
					return err
				}
				text = end.String()
			}
			if strings.TrimSpace(text) == "" {
				return failed("there is no text to explain", `rolecall doctor explain "TEXT"`)
			}
			symptoms := doctor.Explain(text)
			if f.asJSON {
				if symptoms == nil {
					symptoms = []doctor.Symptom{}
				}
				if err := writeJSON(a.stdout, explained{symptoms}); err != nil {
					return err
				}
				if len(symptoms) == 0 {
					return silent{exitFailed}
				}
				return nil
			}
			if len(symptoms) == 0 {
				return failed("this is no error text that doctor knows", "rolecall doctor -- COMMAND looks at the program itself")
			}
			if !f.verbose {
				symptoms = symptoms[:1]
			}
			return a.writeSymptoms(symptoms)
		},
	}
}

// explained is the answer to machines.
type explained struct {
	Symptoms []doctor.Symptom `json:"symptoms"`
}

func (a *app) writeSymptoms(symptoms []doctor.Symptom) error {
	p := &printer{w: a.stdout, colours: a.colours()}
	p.put("most likely: " + symptoms[0].Causes[0].Text)
	for _, s := range symptoms {
		p.blank()
		p.put(s.Title + paint("  ("+s.SDKs+")", colourFaint, p.colours))
		for i, c := range s.Causes {
			p.put(fmt.Sprintf("%d. %s", i+1, c.Text))
			p.put("   " + paint("told by: ", colourFaint, p.colours) + c.Tell)
			p.put("   " + paint("fix: ", colourGreen, p.colours) + c.Fix)
		}
	}
	return p.err
}
