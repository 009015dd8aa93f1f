package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/usererr"
)

type execOptions struct {
	source  string
	slot    string
	token   bool
	noFiles bool
	command []string
}

func (a *app) execCommand() *cobra.Command {
	var o execOptions
	c := &cobra.Command{
		Use:   "exec [SOURCE] [--slot NAME] -- CMD [ARG]...",
		Short: "Run a program with credentials",
		Long: `Run a program that takes its credentials from the daemon, and gets new ones as long as
it runs. Variables and files are treated as by "rolecall env".

Without SOURCE the program uses the default slot, or the one of --slot. With SOURCE it
uses that source: of the daemon where one is running, else of a small server that lives
as long as the program.

The program does not start when there are no credentials for it. Its exit code is that
of rolecall: 128 and the signal's number when a signal ended it, 127 when there is no such
program, 126 when it cannot be run.`,
		Example: `  rolecall exec dev -- terraform plan
  rolecall exec --slot prod -- aws s3 ls
  rolecall exec imds -- ./server --port 8080`,
		Args: func(c *cobra.Command, args []string) error { return o.arguments(c, args) },
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSlot(c, o.slot); err != nil {
				return err
			}
			return a.exec(c.Context(), o)
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault // the program's
			}
			return a.completeSources(c, args, word)
		},
	}
	a.slotFlag(c, &o.slot, "use the slot `NAME` and not the default one")
	c.Flags().BoolVar(&o.token, "token", false, "give the program the authorization token itself and not its file")
	c.Flags().BoolVar(&o.noFiles, "no-aws-files", false, "hide ~/.aws/config and ~/.aws/credentials from the program")
	a.serverFlags(c)
	return c
}

func (o *execOptions) arguments(c *cobra.Command, args []string) error {
	const hint = "rolecall exec [SOURCE] -- CMD ARG..."
	dash := c.ArgsLenAtDash()
	switch {
	case dash < 0 && len(args) > 1:
		return wrongUsage("the program to run comes after --", "rolecall exec "+shellword.Word(args[0])+" -- "+shellWords(args[1:]))
	case dash < 0 || dash == len(args):
		return wrongUsage("no program to run is named", hint)
	case dash > 1:
		return wrongUsage(fmt.Sprintf("one SOURCE is expected before --, and not %d", dash), hint)
	case dash == 1 && c.Flags().Changed("slot"):
		return wrongUsage("SOURCE and --slot exclude each other", "rolecall load SOURCE --slot NAME, and then exec with --slot NAME alone")
	case dash == 1:
		o.source = args[0]
		if err := checkSource(o.source); err != nil {
			return err
		}
	}
	o.command = args[dash:]
	return nil
}

func (a *app) exec(ctx context.Context, o execOptions) error {
	path, err := lookProgram(o.command[0])
	if err != nil {
		return err
	}
	h, err := a.reachOrFail(ctx, o.slot, o.source)
	var nowhere *config.DirError // to look for a daemon, e.g. without a home directory
	if o.source != "" && (errors.Is(err, control.ErrNoDaemon) || errors.As(err, &nowhere)) {
		return a.execPrivate(ctx, o, path)
	}
	if err != nil {
		return err
	}
	h.NoFiles = o.noFiles
	token, err := readToken(h.TokenFile)
	if err != nil {
		return err
	}
	if o.token {
		h.Token = token
	}
	if err := a.mustAnswer(ctx, h.URL, token); err != nil {
		return err
	}
	a.warnOfDefault(h)
	return become(ctx, path, o.command, h.environ(a.environ()))
}

// reachOrFail is reach, but an empty slot is an error: a program is waiting.
func (a *app) reachOrFail(ctx context.Context, slot, source string) (handout, error) {
	if a.server != "" {
		return a.reach(ctx, slot, source)
	}
	st, err := a.status(ctx)
	if err != nil {
		return handout{}, err
	}
	if source == "" && findSlot(st.Slots, slot) == nil {
		return handout{}, failed(slotWords(slot)+" is empty", loadHint(slot)+"; or rolecall exec SOURCE -- CMD")
	}
	return a.handoutOf(st, slot, source)
}

// lookProgram finds a program as a shell does, with a shell's exit codes.
func lookProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil || errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return "", &failure{code: exitNotFound, msg: "there is no program " + quoted(name), hint: "is it in PATH?"}
	}
	var e *exec.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return "", &failure{code: exitCannotRun, msg: fmt.Sprintf("the program %q cannot be run: %v", name, err)}
}

// A source may take this long before the program starts: that of a
// credential_process.
const longestWait = 75 * time.Second

// mustAnswer asks for the credentials as the program will, so that it is not
// started to fail.
func (a *app) mustAnswer(ctx context.Context, credentials string, token creds.Secret) error {
	u, err := url.Parse(credentials)
	if err != nil {
		return err
	}
	r, err := control.NewRemote(u.Scheme+"://"+u.Host, token)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(longestWait); ; {
		err := r.Check(ctx, u.EscapedPath())
		var e *usererr.Error
		var untrusted *tls.CertificateVerificationError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &untrusted):
			a.warn("the certificate of "+u.Host+" is not one that this system trusts; the program must", "")
			return nil
		case !errors.As(err, &e) || !control.StillAsking(e) || time.Now().After(deadline):
			return err
		}
		select {
		case <-time.After(min(max(e.RetryAfter, 100*time.Millisecond), time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takenByAll says whether every SDK takes credentials from the URL.
func takenByAll(credentials string) bool {
	u, err := url.Parse(credentials)
	if err != nil {
		return false
	}
	switch u.Hostname() {
	case "127.0.0.1", "localhost", "169.254.170.2", "169.254.170.23":
		return true
	}
	return u.Scheme == "https"
}

func shellWords(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = shellword.Word(w)
	}
	return strings.Join(out, " ")
}
