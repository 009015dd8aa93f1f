package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
	"rolecall/internal/shellword"
	"rolecall/internal/usererr"
)

const (
	maxProcessOutput = 64 << 10 // bytes of stdout
	// processGrace is how long a process that has ended may keep its output
	// open through a child of its own.
	processGrace = time.Second
)

// processLink runs the profile's credential_process. Its words are split as a
// POSIX shell does (quotes and backslashes) but no shell is run: variables,
// ~, pipes and && mean nothing, as in the AWS CLI. Write sh -c '…' for them.
func (r *Resolver) processLink(s *awsconfig.Section) (*link, error) {
	command, _ := s.Get("credential_process")
	argv, err := splitCommand(command.Text)
	if err != nil {
		return nil, r.notConfigured(at(command)+" credential_process: "+err.Error(), "correct the command")
	}
	if err := r.trusted(command, "credential_process is not run"); err != nil {
		return nil, err
	}
	p := &process{r: r, label: fmt.Sprintf("credential_process of profile %q", s.Name), command: command, argv: argv, profile: s.Name}
	return &link{provider: p, timeout: processTimeout, key: []string{"process=" + digest(command.Text)}}, nil
}

// trusted refuses a setting that another user could have written; consequence
// says what is therefore not done.
func (r *Resolver) trusted(v awsconfig.Value, consequence string) error {
	_, err := privatefile.ReadTrusted(v.File, awsconfig.MaxFileSize)
	var unsafe *privatefile.UnsafeError
	switch {
	case errors.As(err, &unsafe):
		return r.notConfigured(consequence+": "+unsafe.Error(), unsafe.Hint())
	case err != nil:
		return r.notConfigured(consequence+": "+err.Error(), "")
	}
	return nil
}

type process struct {
	r       *Resolver
	label   string
	profile string
	command awsconfig.Value
	argv    []string
}

// Retrieve runs the process and reads its answer. Neither the answer nor the
// command nor what it writes to stderr, which is thrown away, gets into an
// error.
func (p *process) Retrieve(ctx context.Context) (creds.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, processTimeout)
	defer cancel()
	path, err := exec.LookPath(p.argv[0])
	if err != nil {
		return creds.Credentials{}, p.r.notConfigured(fmt.Sprintf("%s %s: the program %q is not there or may not be run", at(p.command), p.label, filepath.Base(p.argv[0])),
			"write its full path; for variables, ~ or pipes write sh -c '…', since no shell is run")
	}
	out := &cappedBuffer{limit: maxProcessOutput, full: cancel}
	cmd := exec.CommandContext(ctx, path, p.argv[1:]...)
	cmd.Args[0] = p.argv[0]
	cmd.Env = childEnviron(p.r.cfg.Environ())
	cmd.Stdout = out
	cmd.WaitDelay = processGrace
	err = runGroup(cmd)
	switch {
	case out.overflowed:
		return creds.Credentials{}, unavailable(p.label+" wrote more than 64 KiB", "")
	case ctx.Err() != nil:
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable, Msg: p.label + " did not end in time and was killed", Hint: p.tryHint(), Err: ctx.Err()}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return creds.Credentials{}, unavailable(p.label+" failed: "+exitWords(err), p.tryHint())
	}
	return p.parse(out.buf.Bytes())
}

func (p *process) tryHint() string {
	return "to see why, run the command that `aws configure get credential_process --profile " + shellword.Word(p.profile) + "` prints"
}

// processAnswer is the JSON of a credential_process (AWS CLI user guide,
// "Sourcing credentials with an external process").
type processAnswer struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
	AccountID       string `json:"AccountId"`
}

func (p *process) parse(text []byte) (creds.Credentials, error) {
	var a processAnswer
	if json.Unmarshal(text, &a) != nil {
		return creds.Credentials{}, unavailable(p.label+" wrote something that is not the JSON of credentials", p.tryHint())
	}
	if a.Version != 1 {
		return creds.Credentials{}, unavailable(p.label+" answered with a Version other than 1", p.tryHint())
	}
	if a.AccessKeyID == "" || a.SecretAccessKey == "" {
		return creds.Credentials{}, unavailable(p.label+" answered without keys", p.tryHint())
	}
	c := creds.Credentials{
		AccessKeyID:     a.AccessKeyID,
		SecretAccessKey: creds.NewSecret(a.SecretAccessKey),
		SessionToken:    creds.NewSecret(a.SessionToken),
		AccountID:       a.AccountID,
	}
	if a.Expiration != "" {
		at, err := time.Parse(time.RFC3339, a.Expiration)
		if err != nil {
			return creds.Credentials{}, unavailable(p.label+" answered with an Expiration that is no ISO 8601 time", p.tryHint())
		}
		c.Expires = told(at)
	}
	return complete(c, p.label)
}

// childEnviron leaves out what is rolecall's own: its settings and the secret
// that opens its endpoint.
func childEnviron(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, e := range environ {
		name, _, _ := strings.Cut(strings.ToUpper(e), "=")
		if !strings.HasPrefix(name, "ROLECALL_") && name != "AWS_CONTAINER_AUTHORIZATION_TOKEN" {
			kept = append(kept, e)
		}
	}
	return kept
}

// exitWords is how a process ended, without what it wrote.
func exitWords(err error) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "it could not be run"
	}
	if code := exit.ExitCode(); code >= 0 {
		return fmt.Sprintf("exit status %d", code)
	}
	return "it was killed by a signal"
}

// cappedBuffer keeps the first limit bytes and calls full at the next.
type cappedBuffer struct {
	buf        bytes.Buffer
	limit      int
	full       func()
	overflowed bool
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.limit {
		b.overflowed = true
		b.full()
		return 0, errTooLarge
	}
	return b.buf.Write(p)
}
