package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/source"
	"rolecall/internal/store"
	"rolecall/internal/usererr"
)

// mfaOptions are where the code of an MFA device comes from. Neither: from the
// person at the terminal.
type mfaOptions struct {
	code    string
	process string
}

func (o *mfaOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.code, "mfa-code", "", "the `CODE` that the MFA device shows, in place of a question for it")
	c.Flags().StringVar(&o.process, "mfa-process", "", "a `COMMAND` of the shell that prints the code, e.g. \"ykman oath accounts code -s aws\"")
}

// check refuses both, and a value that is empty: that is a script's variable
// that is not set, and no wish to be asked.
func (o *mfaOptions) check(c *cobra.Command) error {
	for name, value := range map[string]string{"mfa-code": o.code, "mfa-process": o.process} {
		if c.Flags().Changed(name) && strings.TrimSpace(value) == "" {
			return wrongUsage("--"+name+" is empty", c.CommandPath()+" --help")
		}
	}
	return exclusive(c, "mfa-code", "mfa-process")
}

const (
	codeTries     = 3 // of one person, before the command gives up
	mostDevices   = 3 // in one chain of roles
	codeProcesses = time.Minute
	mostOutput    = 4 << 10 // bytes that such a process may print
)

// useCode gives the code of a device to whoever makes a session of it.
type useCode func(ctx context.Context, serial, code string) (until time.Time, err error)

// canAsk says whether a code can be had at all.
func (a *app) canAsk(o mfaOptions) bool {
	if o.code != "" || o.process != "" {
		return true
	}
	in, _, done := a.screen()
	done()
	return in != nil
}

// withCodes runs try, and gives a code for each device that try's error names,
// until try names none.
func (a *app) withCodes(ctx context.Context, o mfaOptions, use useCode, try func() error) error {
	for range mostDevices {
		err := try()
		var e *usererr.Error
		if err == nil || !errors.As(err, &e) || e.MFA == "" || !a.canAsk(o) {
			return err
		}
		if _, err := a.giveCode(ctx, o, e.MFA, use); err != nil {
			return err
		}
		o.code = "" // it is used up
	}
	return try()
}

// giveCode gets the code of the device serial and uses it. A person may try
// again when it is not taken.
func (a *app) giveCode(ctx context.Context, o mfaOptions, serial string, use useCode) (time.Time, error) {
	for try := 1; ; try++ {
		code, asked, err := a.codeOf(ctx, o, serial)
		if err != nil {
			return time.Time{}, err
		}
		until, err := use(ctx, serial, code)
		var e *usererr.Error
		switch {
		case err == nil:
			if !until.IsZero() {
				fmt.Fprintf(a.stderr, "signed in with %s until %s\n", visible(serial), until.Local().Format("2006-01-02 15:04:05 MST"))
			}
			return until, nil
		case !asked || try == codeTries || !errors.As(err, &e) || e.MFA == "":
			return time.Time{}, err
		}
		f := asFailure(ctx, err)
		a.warn(f.msg, f.hint)
	}
}

// codeOf is the code, and whether a person was asked for it.
func (a *app) codeOf(ctx context.Context, o mfaOptions, serial string) (code string, asked bool, err error) {
	switch {
	case o.code != "":
		return unspaced(o.code), false, nil
	case o.process != "":
		code, err := a.codeProcess(ctx, o.process)
		return code, false, err
	}
	in, out, done := a.screen()
	defer done()
	if in == nil {
		return "", false, &failure{code: exitLogin, msg: "a code of the MFA device " + serial + " is needed, and there is no terminal to ask for it",
			hint: "name it with --mfa-code CODE, or --mfa-process COMMAND"}
	}
	code, err = question(ctx, in, out, "code of the MFA device "+serial+": ")
	if err == nil && code == "" {
		err = &failure{code: exitInterrupted, msg: "no code was given"}
	}
	return unspaced(code), true, err
}

// unspaced is a code without the blanks that some devices show in the middle.
func unspaced(code string) string { return strings.Join(strings.Fields(code), "") }

// codeProcess runs the command of the shell that prints the code. What else it
// has to say goes to stderr.
func (a *app) codeProcess(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, codeProcesses)
	defer cancel()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	if runtime.GOOS == "windows" {
		c = exec.CommandContext(ctx, "cmd", "/C", command)
	}
	var out codeOutput
	c.Env, c.Stdin, c.Stdout, c.Stderr, c.WaitDelay = a.environ(), a.stdin, &out, a.stderr, time.Second
	err := c.Run()
	const hint = "try the command by itself, or give the code with --mfa-code"
	var ended *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", failed(fmt.Sprintf("the command of --mfa-process did not end within %.0f seconds", codeProcesses.Seconds()), hint)
	case ctx.Err() != nil || errors.As(err, &ended) && signalOf(ended.ProcessState) == int(syscall.SIGINT):
		return "", errInterrupted // Ctrl-C is for both of us, and may reach it first
	case out.much:
		return "", failed("the command of --mfa-process prints more than a code", hint)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", failed("the command of --mfa-process failed: "+err.Error(), hint)
	}
	return unspaced(string(out.text)), nil
}

// codeOutput keeps what a command prints, and closes its pipe when that is more
// than a code can be.
type codeOutput struct {
	text []byte
	much bool
}

func (o *codeOutput) Write(p []byte) (int, error) {
	if o.much = len(o.text)+len(p) > mostOutput; o.much {
		return 0, io.ErrShortWrite
	}
	o.text = append(o.text, p...)
	return len(p), nil
}

// giveDaemon makes a session with the code in the daemon.
func giveDaemon(d *control.Client, source string, renew bool) useCode {
	return func(ctx context.Context, serial, code string) (time.Time, error) {
		r, err := d.SignIn(ctx, control.SignInRequest{Source: source, Serial: serial, Code: code, Renew: renew})
		if err != nil || r.Until == nil {
			return time.Time{}, err
		}
		return *r.Until, nil
	}
}

// giveHere makes it in this process; it is kept in the store where there is
// one.
func giveHere(r *source.Resolver, text string, renew bool) useCode {
	return func(ctx context.Context, serial, code string) (time.Time, error) {
		return r.SignIn(ctx, text, serial, code, renew)
	}
}

// devices are the MFA devices of the profile that somebody signs in with.
func (a *app) devices(o loginOptions) []string {
	if o.profile == "" {
		return nil
	}
	s, err := a.resolver().Resolve(profileSource(o.profile))
	if err != nil {
		return nil // signing in says what is wrong
	}
	return s.Devices
}

func profileSource(name string) string { return "profile:" + strings.TrimPrefix(name, "profile:") }

// loginMFA makes new sessions with codes of the profile's devices: in the
// daemon, else in the store for the next one.
func (a *app) loginMFA(ctx context.Context, o loginOptions, devices []string) error {
	text := profileSource(o.profile)
	use := giveHere(a.resolver(), text, true)
	if d, err := a.daemon(); err == nil {
		if _, err := d.Status(ctx); err == nil {
			use = giveDaemon(d, text, true)
		}
	}
	for _, serial := range devices {
		until, err := a.giveCode(ctx, o.mfa, serial, use)
		if err != nil {
			return err
		}
		o.mfa.code = "" // it is used up
		if o.json {
			if err := writeJSON(a.stdout, map[string]any{"mfa_serial": serial, "expires": until.UTC().Format(time.RFC3339)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// mfaSessions is where MFA sessions are kept for all processes of the user: the
// sealed files, opened when the first one is needed.
func (a *app) mfaSessions() source.Sessions { return source.LazySessions(a.openSessions) }

func (a *app) openSessions() source.Sessions {
	dirs, err := a.dirs()
	if err != nil || dirs.Store == "" {
		return &store.Memory{}
	}
	if c, err := a.readConfig(dirs, ""); err != nil || c.Store == config.StoreMemory {
		return &store.Memory{}
	}
	kept, err := a.storeAt(dirs, store.KeyConfig{Make: true, Warn: func(m string) { a.warn(m, "") }}, store.RedisConfig{})
	if err != nil {
		a.warnOf("an MFA session is not kept", err)
		return &store.Memory{}
	}
	return kept.File
}

// mfaLength is how long a session made with a code lasts; 0 where the
// configuration cannot be read, which is for others to tell.
func (a *app) mfaLength() time.Duration {
	dirs, err := a.dirs()
	if err != nil {
		return 0
	}
	c, err := a.readConfig(dirs, "")
	if err != nil {
		return 0
	}
	return c.MFASession
}

// heldSessions are those that are kept already, for commands that must change
// nothing.
func (a *app) heldSessions() source.Sessions {
	dirs, err := a.dirs()
	if err != nil {
		return nil
	}
	kept, err := a.storeAt(dirs, store.KeyConfig{}, store.RedisConfig{})
	if err != nil {
		return nil // there are none
	}
	return heldSessions{kept.File}
}

type heldSessions struct{ file *store.File }

func (h heldSessions) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool, fetch store.Fetch) (creds.Credentials, bool, error) {
	if c, _, ok := h.file.Peek(key); ok && fresh(c) {
		return c, false, nil
	}
	c, err := fetch(ctx)
	return c, true, err
}
