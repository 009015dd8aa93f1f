package cli

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/daemon"
	"rolecall/internal/fakeaws"
)

const (
	demoLife   = 15 * time.Second // of the keys until the outage is over
	demoRounds = 10
)

// demoSlot is a slot of the demo and the role that its profile assumes.
type demoSlot struct{ name, profile, role string }

var demoSlots = [...]demoSlot{
	{"", "dev", fakeaws.RoleDev}, {"staging", "staging", fakeaws.RoleStaging}, {"prod", "prod", fakeaws.RoleProd},
}

// demoWorld is the fake AWS and the daemon that asks it.
type demoWorld struct {
	aws   *fakeaws.Server
	dir   string
	dirs  config.Dirs
	url   string // of the daemon, without a slash at its end
	token creds.Secret
	file  string // that holds it
	env   map[string]string
	log   string
	ended chan error // gets the end of the daemon, once
	stop  context.CancelFunc

	logFile *os.File
	keepLog bool
}

// startDemo makes the world. The daemon sees none of the user's environment
// and files.
func (a *app) startDemo(ctx context.Context) (w *demoWorld, err error) {
	w = &demoWorld{ended: make(chan error, 1), stop: func() {}}
	defer func() {
		if err != nil {
			w.ended <- nil // there is no daemon to wait for
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "rolecall-demo-"); err != nil {
		return w, failed("there is no temporary directory: "+err.Error(), "export TMPDIR=DIRECTORY")
	}
	if w.aws, err = fakeaws.Start(fakeaws.Config{}); err != nil {
		return w, err
	}
	w.aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Lifetime: demoLife})
	configFile, credentialsFile, err := w.aws.WriteProfiles(filepath.Join(w.dir, ".aws"))
	if err != nil {
		return w, err
	}
	w.env = map[string]string{"AWS_CONFIG_FILE": configFile, "AWS_SHARED_CREDENTIALS_FILE": credentialsFile,
		"AWS_EC2_METADATA_DISABLED": "true", "ROLECALL_DIR": w.dir}
	for _, e := range w.aws.Environ() {
		name, value, _ := strings.Cut(e, "=")
		w.env[name] = value
	}
	if w.dirs, err = config.FindDirs(w.getenv); err != nil {
		return w, err
	}
	w.log = filepath.Join(w.dir, "daemon.log")
	if w.logFile, err = os.OpenFile(w.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return w, err
	}
	return w, w.startDaemon(ctx, a.version.Version)
}

func (w *demoWorld) getenv(name string) string { return w.env[name] }

// environ is for children; the demo has none.
func (w *demoWorld) environ() []string { return nil }

func (w *demoWorld) startDaemon(ctx context.Context, version string) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // it ends after its clients
	ready, ended := make(chan daemon.Ready, 1), make(chan error, 1)
	go func() {
		ended <- daemon.Run(running, daemon.Config{
			Settings: demoSettings, Dirs: w.dirs, Getenv: w.getenv, Environ: w.environ, Home: w.dir, Stderr: w.logFile,
			Strict: []string{""}, Version: version, Ready: func(r daemon.Ready) { ready <- r },
		})
	}()
	select {
	case r := <-ready:
		w.stop, w.ended = stop, ended
		w.url, w.file = strings.TrimSuffix(r.URLs[0], "/"), r.TokenFile
		token, err := readToken(r.TokenFile)
		w.token = token
		return err
	case err := <-ended:
		stop()
		return err
	}
}

func demoSettings() (config.Config, error) {
	c := config.Default()
	addr, err := config.ParseListen("127.0.0.1:0")
	if err != nil {
		return c, err
	}
	c.Listen = []config.ListenAddr{addr}
	for _, s := range demoSlots {
		if s.name == "" {
			c.Load = "profile:" + s.profile
			continue
		}
		c.Slots = append(c.Slots, config.Slot{Name: s.name, Source: "profile:" + s.profile})
	}
	return c, c.Check()
}

// close ends all and leaves nothing behind.
func (w *demoWorld) close() {
	w.stop()
	<-w.ended
	if w.aws != nil {
		_ = w.aws.Close()
	}
	if w.logFile != nil {
		_ = w.logFile.Close()
	}
	if w.dir != "" && !w.keepLog {
		_ = os.RemoveAll(w.dir)
	}
}

// daemonError is why the daemon has ended, nil while it runs.
func (w *demoWorld) daemonError() error {
	select {
	case err := <-w.ended:
		w.ended <- nil
		return err
	default:
		return nil
	}
}

// calls is how often AWS was asked for a slot's role.
func (w *demoWorld) calls(s demoSlot) (n int) {
	for _, r := range w.aws.Requests() {
		if r.Op == "sts:AssumeRole" && r.RoleARN == s.role {
			n++
		}
	}
	return n
}

func (w *demoWorld) fail() {
	w.aws.ClearFaults()
	w.aws.Script(fakeaws.Fault{Match: "*", Status: http.StatusServiceUnavailable})
}

func (w *demoWorld) heal() { w.aws.ClearFaults() }

// waitForFailures waits until a refresh of every slot has failed, and says how
// many have in the slot with the fewest.
func (w *demoWorld) waitForFailures(ctx context.Context, most time.Duration) (fewest int, err error) {
	client := control.NewClient(w.dirs.Socket)
	for deadline := time.Now().Add(most); ; {
		st, err := client.Status(ctx)
		if err != nil {
			return 0, err
		}
		for i, s := range st.Slots {
			if i == 0 || s.Failures < fewest {
				fewest = s.Failures
			}
		}
		if fewest > 0 || time.Now().After(deadline) {
			return fewest, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// demoInvitation says what to type in another terminal.
func (a *app) demoInvitation(w *demoWorld) error {
	fmt.Fprintln(a.stdout, "\nThe demo stays up. In another terminal:")
	set, unset := handout{URL: w.url + pathOf("", ""), TokenFile: w.file, Region: w.env["AWS_REGION"]}.variables()
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "ROLECALL_DIR"} {
		set = append(set, variable{name, w.env[name]})
	}
	fmt.Fprintln(a.stdout)
	if err := writeVariables(a.stdout, "sh", set, unset); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, `
aws sts get-caller-identity          # an aws CLI before 1.29 or 2.13 needs --endpoint-url "$AWS_ENDPOINT_URL_STS"
rolecall status
rolecall load chained --slotted && rolecall exec --slot chained -- aws sts get-caller-identity

The daemon's log is in %s. Ctrl-C ends the demo.
`, w.log)
	return err
}
