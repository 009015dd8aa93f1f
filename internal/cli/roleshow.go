package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/roles"
)

// shownRole is what --json prints of a role: names and meanings stay.
type shownRole struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	ARN         string            `json:"arn"`
	Description string            `json:"description,omitempty"`
	Created     time.Time         `json:"created"`
	LastUsed    *time.Time        `json:"last_used,omitempty"`
	LastRegion  string            `json:"last_used_region,omitempty"`
	MaxSession  float64           `json:"max_session_seconds"`
	For         []string          `json:"for"` // services that its trust policy lets in
	Trust       json.RawMessage   `json:"trust_policy"`
	Policies    []string          `json:"policies"`
	Inline      []string          `json:"inline_policies"`
	Boundary    string            `json:"boundary,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Profiles    []string          `json:"instance_profiles"`
	Instances   []usedBy          `json:"instances"`
	Tasks       []usedBy          `json:"task_definitions"`
	Unknown     []string          `json:"unknown,omitempty"` // what could not be looked at
}

type usedBy struct {
	Name    string `json:"name"`
	State   string `json:"state"` // of an instance; "task role" or "execution role"
	Profile string `json:"instance_profile,omitempty"`
}

func (a *app) roleShowCommand() *cobra.Command {
	var o roleCaller
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a role: who may be it, what it may do, where it is used",
		Long: `Show a role's trust policy, its policies, when it was last used, and the instances and
task definitions (newest active revisions) of the region that have it. What the caller may
not look at is named.`,
		Example: `  rolecall role show app
  rolecall role show app --json | jq .instances`,
		Args: oneRole,
		RunE: o.on(func(c *cobra.Command, n roles.Name) error {
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			account, err := o.open(ctx, a, nil)
			if err != nil {
				return roleFailure(c.Context(), err)
			}
			s, err := account.Show(ctx, n)
			if err != nil {
				return roleFailure(c.Context(), err)
			}
			if o.json {
				return writeJSON(a.stdout, shownRoleOf(s))
			}
			return a.printRole(s)
		}),
	}
	o.add(a, c)
	return c
}

func shownRoleOf(s *roles.Shown) shownRole {
	r := shownRole{Name: s.Role.Name.Name, Path: s.Role.Name.Path, ARN: s.ARN, Description: s.Description, Created: s.Created.UTC(), LastRegion: s.LastRegion,
		MaxSession: s.MaxSession.Seconds(), For: append([]string{}, s.ServiceNames()...), Trust: json.RawMessage(s.Trust), Policies: append([]string{}, s.Attached...),
		Inline: []string{}, Boundary: s.Boundary, Tags: s.Tags, Profiles: []string{}, Instances: usedByOf(s.Instances), Tasks: usedByOf(s.Tasks), Unknown: s.Unknown}
	if !json.Valid(r.Trust) {
		r.Trust = nil
	}
	if !s.LastUsed.IsZero() {
		at := s.LastUsed.UTC()
		r.LastUsed = &at
	}
	r.Inline = append(r.Inline, s.InlineNames()...)
	for _, p := range s.Profiles {
		r.Profiles = append(r.Profiles, p.String())
	}
	return r
}

func usedByOf(all []roles.UsedBy) []usedBy {
	out := []usedBy{}
	for _, u := range all {
		out = append(out, usedBy{u.Name, u.State, u.Bonded})
	}
	return out
}

func (a *app) printRole(s *roles.Shown) error {
	var t table
	row := func(name, value string) {
		if value != "" {
			t.row(name, visible(value))
		}
	}
	row("role", s.ARN)
	row("description", s.Description)
	row("created", s.Created.UTC().Format("2006-01-02"))
	row("last used", s.Used())
	row("for", orDash(strings.Join(s.ServiceNames(), ", ")))
	row("trust", s.Trust)
	row("sessions", "up to "+span(s.MaxSession))
	for _, p := range s.Attached {
		row("policy", p)
	}
	for _, name := range s.InlineNames() {
		row("inline policy", name)
	}
	row("boundary", s.Boundary)
	for _, key := range s.TagKeys() {
		row("tag", key+"="+s.Tags[key])
	}
	for _, p := range s.Profiles {
		row("instance profile", p.String())
	}
	for _, i := range s.Instances {
		row("instance", i.Name+", "+i.State+", by the instance profile "+i.Bonded)
	}
	for _, d := range s.Tasks {
		row("task definition", d.Name+", as "+d.State)
	}
	for _, u := range s.Unknown {
		row("not known", u)
	}
	for _, l := range t.lines() {
		if _, err := fmt.Fprintln(a.stdout, l); err != nil {
			return err
		}
	}
	return nil
}
