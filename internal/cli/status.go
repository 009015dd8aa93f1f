package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/control"
	"rolecall/internal/usererr"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	var slot string
	var w waiting
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the daemon, its slots and what is wrong with them",
		Long: `Show the daemon, its slots, when they refresh, and what is wrong with them.

The exit code is for scripts: 0 every slot has credentials and no source fails, 1 that is
not so, 3 no daemon is running, 4 a slot needs a login (the command to type is shown).
With --wait it waits until the exit code would be 0, e.g. until somebody has signed in, but
no longer than --timeout.

With --server only the health check is asked, for the default slot or for --slot.`,
		Example: `  rolecall status
  rolecall status --json | jq '.slots[] | {name, state, remaining_seconds}'
  rolecall status --wait --slot prod && terraform apply
  rolecall status --server http://127.0.0.1:4144`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSlot(c, slot); err != nil {
				return err
			}
			if err := w.check(c); err != nil {
				return err
			}
			if a.server != "" {
				w.until(c.Context(), func() bool { return a.healthy(c.Context(), slot) })
				return a.health(c.Context(), slot, asJSON)
			}
			w.until(c.Context(), func() bool {
				st, err := a.status(c.Context())
				return err == nil && good(st.Slots, slot, c.Flags().Changed("slot"))
			})
			st, err := a.status(c.Context())
			if err != nil {
				return err
			}
			slots := st.Slots
			if c.Flags().Changed("slot") {
				s := findSlot(st.Slots, slot)
				if s == nil {
					return failed(slotWords(slot)+" is empty", loadHint(slot))
				}
				st.Slots = []control.Slot{*s}
			}
			signIns := a.knownSignIns(slots, time.Now())
			if asJSON {
				err = writeJSON(a.stdout, struct {
					control.Status
					SignIns []signIn `json:"sign_ins"`
				}{st, signIns})
			} else {
				err = writeStatus(a.stdout, st, signIns, time.Now(), a.colours())
			}
			if code := healthCode(st.Slots); err == nil && code != exitFine {
				return silent{code}
			}
			return err
		},
	}
	a.slotFlag(c, &slot, "show, and judge by, the slot `NAME` only")
	c.Flags().BoolVar(&asJSON, "json", false, "print all of it as JSON")
	w.flags(c)
	a.serverFlags(c)
	return c
}

// healthCode is the exit code for the state of slots.
func healthCode(slots []control.Slot) int {
	code := exitFine
	for _, s := range slots {
		switch {
		case s.Error != nil && s.Error.Code == usererr.LoginRequired:
			return exitLogin
		case s.Error != nil || s.State == "expired" || s.State == "empty":
			code = exitFailed
		}
	}
	return code
}

func (a *app) healthy(ctx context.Context, slot string) bool {
	r, err := a.remote()
	return err != nil || r.Health(ctx, slot) == nil // a wrong URL gets no better
}

// health asks the health check of --server.
func (a *app) health(ctx context.Context, slot string, asJSON bool) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	err = r.Health(ctx, slot)
	if asJSON {
		word := "ok"
		if err != nil {
			word = asFailure(ctx, err).msg
		}
		if err := writeJSON(a.stdout, map[string]string{"server": r.URL(), "slot": slot, "status": word}); err != nil {
			return err
		}
	}
	if err == nil && !asJSON {
		_, err = fmt.Fprintf(a.stdout, "%s: %s has credentials\n", r.URL(), visible(slotWords(slot)))
	}
	return err
}

// writeStatus is the whole screen.
func writeStatus(w io.Writer, st control.Status, signIns []signIn, now time.Time, colours bool) error {
	var head table
	head.row("rolecall", fmt.Sprintf("%s, pid %d, up %s", st.Version, st.PID, span(now.Sub(st.Started))))
	for i, l := range st.Listeners {
		name := ""
		if i == 0 {
			name = "listening"
		}
		head.row(name, listenerWords(l))
	}
	head.row("access", accessWords(st))
	if st.Auth != "none" {
		head.row("token file", st.TokenFile)
	}
	if st.ConfigFile != "" {
		head.row("config", st.ConfigFile)
	}
	if st.Store != nil {
		head.row("store", visible(storeWords(*st.Store)))
	}
	head.row("answers", fmt.Sprintf("%s with credentials, %s denied", count(st.Answers), count(st.Denials)))
	lines := head.lines()
	if len(st.Slots) == 0 {
		lines = append(lines, "", "no slot is loaded", "hint: rolecall load PROFILE")
	} else {
		lines = append(append(lines, ""), slotTable(st.Slots, now, colours)...)
	}
	lines = append(lines, signInTable(signIns, colours)...)
	for _, text := range append(complaints(st), st.Warnings...) {
		lines = append(lines, "", paint("warning: ", colourYellow, colours)+visible(text))
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	return nil
}

func listenerWords(l control.Listener) string {
	switch {
	case l.Endpoint != "imds":
		return l.URL
	case l.V1:
		return l.URL + " (instance metadata, versions 1 and 2)"
	}
	return l.URL + " (instance metadata)"
}

func storeWords(s control.Store) string {
	text := s.Kind
	if s.URL != "" {
		text += " at " + s.URL
		if s.Dir != "" {
			text += " and"
		}
	}
	if s.Dir != "" {
		text += " in " + s.Dir
	}
	switch {
	case s.Weakness != "":
		text += "; " + s.Weakness
	case s.Key != "":
		text += ", sealed with a key from: " + s.Key
	}
	return text
}

func accessWords(st control.Status) string {
	switch {
	case st.Auth == "none":
		return "none: whoever reaches it gets credentials"
	case st.Auth == "token":
		return "token: every program needs the authorization token"
	case !st.PeerByKernel:
		return "auto: every program needs the authorization token, since this system does not tell whose a connection is"
	}
	return "auto: your own programs on this machine; others need the authorization token"
}

func complaints(st control.Status) []string {
	var list []string
	if st.ConfigError != "" {
		list = append(list, "the last reload failed and the configuration before it is in force: "+st.ConfigError)
	}
	if st.AuditLost > 0 {
		list = append(list, count(st.AuditLost)+" audit records could not be written")
	}
	return list
}

// slotTable has a line for each slot, and below it what is wrong with it.
func slotTable(slots []control.Slot, now time.Time, colours bool) []string {
	var t table
	t.row("SLOT", "STATE", "SOURCE", "ACCOUNT", "ROLE", "REMAINING", "REFRESH IN")
	for _, s := range slots {
		name := slotName(s.Name)
		if s.ByURL {
			name = "(by url)"
		}
		t.row(visible(name), s.State, visible(sourceWords(s)), orDash(visible(s.AccountID)), orDash(visible(s.RoleName)), remainingWords(s), refreshWords(s, now))
		if colours {
			t.paint(1, stateColour(s))
		}
	}
	aligned := t.lines()
	lines := aligned[:1:1]
	for i, s := range slots {
		lines = append(lines, aligned[i+1])
		if e := s.Error; e != nil {
			text := "  " + paint(string(e.Code), colourRed, colours) + ": " + visible(e.Message)
			if e.NextTry != nil && e.NextTry.After(now) {
				text += ", next try in " + span(e.NextTry.Sub(now))
			}
			lines = append(lines, text)
			if e.Hint != "" {
				lines = append(lines, "  hint: "+visible(e.Hint))
			}
		}
		if skew := time.Duration(s.ClockSkew * float64(time.Second)); skew.Abs() > time.Minute {
			lines = append(lines, "  "+paint("clock", colourYellow, colours)+": this machine's clock is "+skewWords(skew))
		}
	}
	return lines
}

func skewWords(ahead time.Duration) string {
	if ahead < 0 {
		return span(-ahead) + " behind that of the source"
	}
	return span(ahead) + " ahead of that of the source"
}

func sourceWords(s control.Slot) string {
	if s.Pushed {
		return "uploaded " + s.Profile
	}
	return s.Source
}

func remainingWords(s control.Slot) string {
	switch {
	case s.Static:
		return "no end"
	case s.Expires == nil || s.Remaining <= 0:
		return "-"
	}
	return span(time.Duration(s.Remaining * float64(time.Second)))
}

func refreshWords(s control.Slot, now time.Time) string {
	switch {
	case s.Refreshing:
		return "now"
	case s.Pushed:
		return "never"
	case s.RefreshAt == nil:
		return "-"
	}
	return span(s.RefreshAt.Sub(now))
}

func stateColour(s control.Slot) string {
	switch s.State {
	case "valid":
		return colourGreen
	case "advisory":
		if s.Error == nil {
			return colourGreen
		}
		return colourYellow
	case "mandatory":
		return colourYellow
	}
	return colourRed
}

func paint(s, colour string, colours bool) string {
	if !colours {
		return s
	}
	return colour + s + colourOff
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
