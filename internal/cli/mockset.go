package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rolecall/internal/mock"
)

type mockAt struct {
	url  string
	json bool
}

const varMock = "ROLECALL_MOCK"

func (a *app) mockAtFlags(c *cobra.Command, at *mockAt) {
	c.Flags().StringVar(&at.url, "mock", "", "the mock at this `URL`, one of the two that it printed (default $"+varMock+")")
	c.Flags().BoolVar(&at.json, "json", false, "print the mock's state as JSON")
	a.complete(c, "mock", cobra.NoFileCompletions)
}

// mockClient speaks to the mock that the flag or the environment names.
func (a *app) mockClient(c *cobra.Command, at mockAt) (*mock.Client, error) {
	from := "--mock"
	if at.url == "" && !c.Flags().Changed("mock") {
		at.url, from = a.getenv(varMock), "$"+varMock
	}
	hint := c.CommandPath() + " --mock URL, with a URL that rolecall mock printed"
	if at.url == "" {
		return nil, wrongUsage("which mock is not said", hint)
	}
	client, err := mock.NewClient(at.url)
	if err != nil {
		return nil, wrongUsage(from+": "+err.Error(), hint)
	}
	return client, nil
}

func (a *app) mockSetCommand() *cobra.Command {
	var at mockAt
	var texts []string
	var add bool
	c := &cobra.Command{
		Use:   "set",
		Short: "Change the faults of a running mock",
		Long: `Put faults into force in a running mock, in place of those that are, from the next request
on. Requests that hang or wait are not let go.`,
		Example: `  rolecall mock set --mock http://127.0.0.1:41231 --fault throttle=20% --fault delay=300ms
  ROLECALL_MOCK=http://127.0.0.1:41231 rolecall mock set --add --fault 'reset count=3'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(texts) == 0 {
				return wrongUsage("no fault is given", "rolecall mock set --fault throttle=20%, or rolecall mock clear")
			}
			if _, err := parseFaults(texts); err != nil {
				return err
			}
			client, err := a.mockClient(c, at)
			if err != nil {
				return err
			}
			s, err := client.Set(c.Context(), texts, add)
			return a.mockState(s, at, err)
		},
	}
	a.mockAtFlags(c, &at)
	a.faultFlag(c, &texts, "misbehave so: a `FAULT` as for rolecall mock; may be repeated")
	c.Flags().BoolVar(&add, "add", false, "keep the faults that are in force, too")
	return c
}

func (a *app) mockClearCommand() *cobra.Command {
	var at mockAt
	c := &cobra.Command{
		Use:   "clear",
		Short: "Take all faults out of a running mock",
		Long: `Take all faults out of a running mock, set its counts to zero, and let its random numbers
begin anew, so that each test finds it alike. Credentials and tokens stay good.`,
		Example: "  rolecall mock clear --mock http://127.0.0.1:41231",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.mockClient(c, at)
			if err != nil {
				return err
			}
			s, err := client.Clear(c.Context())
			return a.mockState(s, at, err)
		},
	}
	a.mockAtFlags(c, &at)
	return c
}

func (a *app) mockStatusCommand() *cobra.Command {
	var at mockAt
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show the faults of a running mock, and what was asked of it",
		Example: "  rolecall mock status --mock http://127.0.0.1:41231 --json | jq .requests",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := a.mockClient(c, at)
			if err != nil {
				return err
			}
			s, err := client.Status(c.Context())
			return a.mockState(s, at, err)
		},
	}
	a.mockAtFlags(c, &at)
	return c
}

// mockState prints what a mock answered.
func (a *app) mockState(s mock.Status, at mockAt, err error) error {
	var syntax *mock.SyntaxError
	switch {
	case errors.Is(err, mock.ErrNoMock):
		return failed("no mock answers at "+cmp.Or(at.url, a.getenv(varMock)), "rolecall mock")
	case errors.As(err, &syntax):
		return faultUsage(err)
	case err != nil:
		return err
	}
	if at.json {
		return writeJSON(a.stdout, s)
	}
	var counts []string
	for _, op := range slices.Sorted(maps.Keys(s.Requests)) {
		counts = append(counts, op+" "+strconv.Itoa(s.Requests[op]))
	}
	var head, faults table
	head.row("imds", s.IMDS)
	head.row("ecs", s.ECS)
	head.row("seed", strconv.FormatUint(s.Seed, 10))
	if s.Mode != "" {
		head.row("mode", s.Mode)
	}
	head.row("requests", cmp.Or(strings.Join(counts, ", "), "none"))
	lines := head.lines()
	if len(s.Faults) > 0 {
		faults.row("FAULT", "HITS", "LEFT")
		for _, f := range s.Faults {
			left := "-"
			if f.Left != nil {
				left = strconv.Itoa(*f.Left)
			}
			faults.row(f.Fault, strconv.Itoa(f.Hits), left)
		}
		lines = append(append(lines, ""), faults.lines()...)
	} else {
		lines = append(lines, "faults    none")
	}
	_, err = fmt.Fprintln(a.stdout, visible(strings.Join(lines, "\n")))
	return err
}
