package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"rolecall/internal/login"
)

// showPending tells a person how to sign in, and then how long there is for it,
// until stop is called. All of it goes to stderr.
func (a *app) showPending(ctx context.Context, p login.Pending, session, why string) (stop func()) {
	var b strings.Builder
	if why != "" {
		why = ", since " + why
	}
	switch {
	case p.Code != "":
		fmt.Fprintf(&b, "Sign in to %s with a code%s. Open this page anywhere, and type the code:\n\n    %s\n    %s\n\n", session, why, p.Page, p.Code)
		if p.Full != "" {
			fmt.Fprintf(&b, "or open it with the code in it:\n\n    %s\n\n", p.Full)
		}
	case p.Opened:
		fmt.Fprintf(&b, "Sign in to %s in the browser that opens. If none does, open this page on this machine:\n\n    %s\n\n", session, p.Page)
	default:
		fmt.Fprintf(&b, "Sign in to %s: open this page in a browser on this machine:\n\n    %s\n\n", session, p.Page)
	}
	fmt.Fprint(a.stderr, visible(b.String()))
	what := "waiting for the browser"
	if p.Code != "" {
		what = "waiting for your approval"
	}
	return a.countdown(ctx, what, p.Until)
}

// countdown keeps one line up to date on a terminal, and writes it once
// elsewhere.
func (a *app) countdown(ctx context.Context, what string, until time.Time) (stop func()) {
	line := func() string {
		return fmt.Sprintf("%s, %s left, Ctrl-C to give up", what, span(time.Until(until)+time.Second))
	}
	if !a.redraws() {
		fmt.Fprintln(a.stderr, line())
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			overwrite(a.stderr, line())
			select {
			case <-tick.C:
			case <-ctx.Done():
				overwrite(a.stderr, "")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// redraws says whether a line of stderr can be replaced by another one.
func (a *app) redraws() bool { return terminal(a.stderr) && a.getenv("TERM") != "dumb" }

// overwrite replaces the line that the cursor is on.
func overwrite(w io.Writer, text string) { fmt.Fprint(w, "\r\x1b[K", text) }
