// Package demo shows what rolecall promises: it runs a daemon against the fake
// AWS, lets many clients ask over HTTP as SDKs do, makes AWS fail, and tells
// what they saw. It needs no account, and the daemon sees none of the user's
// environment and files. It knows neither flags nor the terminal.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// How many clients ask at once.
const (
	DefaultClients = 300
	MaxClients     = 2000
)

// Config of a demo.
type Config struct {
	Out     io.Writer // gets the story, line by line
	Clients int       // that ask at once, up to MaxClients; 0: DefaultClients
	Version string    // of rolecall, which the daemon tells about itself
	// Invite is called when all was as promised, and tells others how to take
	// part; the demo then stays up until its context ends. nil: the demo ends.
	Invite func(Place) error
}

// Place is how another process of this user reaches a demo that stays up.
type Place struct {
	URL       string            // of the daemon's container credentials endpoint, without a slash at its end
	TokenFile string            // holds the daemon's authorization token
	Env       map[string]string // the environment of the daemon: it points at the fake AWS, its profiles, and the daemon's directory
	Log       string            // file that the daemon logs to
}

// BrokenError says that the demo ran, and showed other things than promised.
type BrokenError struct {
	Promises int    // broken ones, more than 0
	Log      string // file that the daemon logged to; it is kept
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("%d of the promises above were broken", e.Promises)
}

// Hint is where to look.
func (e *BrokenError) Hint() string { return "the daemon's log is kept: " + e.Log }

// Run shows everything, in about 25 seconds. Its error is a *BrokenError when a
// promise was broken, and else what kept the demo from going on. It works in a
// temporary directory and leaves it only with a *BrokenError.
func Run(ctx context.Context, c Config) error {
	if c.Clients == 0 {
		c.Clients = DefaultClients
	}
	t := &story{out: c.Out}
	fmt.Fprintln(t.out, "rolecall demo: a fake AWS, a daemon and its clients, all in this process; nothing leaves this machine")
	w, err := newWorld(ctx, c.Version)
	if err != nil {
		return err
	}
	defer w.close()
	err = errors.Join(t.run(ctx, w, c.Clients), w.daemonError())
	switch {
	case err != nil:
		return err
	case t.broken > 0:
		w.keepLog = true
		return &BrokenError{t.broken, w.log}
	}
	t.step("All as promised.")
	if c.Invite == nil {
		return nil
	}
	if err := c.Invite(w.place()); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(t.out, "\nrolecall: demo ended")
		return nil
	case err := <-w.ended:
		w.ended <- nil // for close
		return err
	}
}
