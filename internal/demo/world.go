package demo

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/creds"
	"rolecall/internal/daemon"
	"rolecall/internal/fakeaws"
)

// keyLife is how long keys live until the outage is over.
const keyLife = 15 * time.Second

// slot of the daemon and the role that its profile assumes.
type slot struct{ name, profile, role string }

var slots = [...]slot{
	{"", "dev", fakeaws.RoleDev}, {"staging", "staging", fakeaws.RoleStaging}, {"prod", "prod", fakeaws.RoleProd},
}

// String names the slot in a sentence.
func (s slot) String() string {
	if s.name == "" {
		return "the default slot"
	}
	return "slot " + strconv.Quote(s.name)
}

// path is where the endpoint has its credentials. The names need no escaping.
func (s slot) path() string {
	if s.name == "" {
		return "/creds"
	}
	return "/slot/" + s.name
}

// world is the fake AWS and the daemon that asks it.
type world struct {
	aws   *fakeaws.Server
	dir   string
	dirs  config.Dirs
	url   string // of the daemon, without a slash at its end
	token creds.Secret
	file  string // that holds it
	env   map[string]string
	log   string
	ended chan error // gets the end of the daemon, once; holds nil while there is none
	stop  context.CancelFunc

	logFile *os.File
	keepLog bool
}

// newWorld starts both. The daemon sees none of the user's environment and
// files.
func newWorld(ctx context.Context, version string) (w *world, err error) {
	w = &world{ended: make(chan error, 1), stop: func() {}}
	w.ended <- nil
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "rolecall-demo-"); err != nil {
		return w, &config.DirError{Msg: "there is no temporary directory: " + err.Error(), Fix: "export TMPDIR=DIRECTORY"}
	}
	if w.aws, err = fakeaws.Start(fakeaws.Config{}); err != nil {
		return w, err
	}
	w.aws.Script(fakeaws.Fault{Match: "sts:AssumeRole", Lifetime: keyLife})
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
	return w, w.startDaemon(ctx, version)
}

func (w *world) getenv(name string) string { return w.env[name] }

// environ is for children; the demo has none.
func (w *world) environ() []string { return nil }

func (w *world) startDaemon(ctx context.Context, version string) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // it ends after its clients
	ready, ended := make(chan daemon.Ready, 1), make(chan error, 1)
	go func() {
		ended <- daemon.Run(running, daemon.Config{
			Settings: settings, Dirs: w.dirs, Getenv: w.getenv, Environ: w.environ, Home: w.dir, Stderr: w.logFile,
			Strict: []string{""}, Version: version, Ready: func(r daemon.Ready) { ready <- r },
		})
	}()
	select {
	case r := <-ready:
		w.stop, w.ended = stop, ended
		w.url, w.file = strings.TrimSuffix(r.URLs[0], "/"), r.TokenFile
		token, err := os.ReadFile(r.TokenFile)
		w.token = creds.NewSecret(strings.TrimRight(string(token), "\r\n"))
		return err
	case err := <-ended:
		stop()
		return err
	}
}

// settings of the daemon: any free port, and all slots.
func settings() (config.Config, error) {
	c := config.Default()
	addr, err := config.ParseListen("127.0.0.1:0")
	if err != nil {
		return c, err
	}
	c.Listen = []config.ListenAddr{addr}
	for _, s := range slots {
		if s.name == "" {
			c.Load = "profile:" + s.profile
			continue
		}
		c.Slots = append(c.Slots, config.Slot{Name: s.name, Source: "profile:" + s.profile})
	}
	return c, c.Check()
}

// place is how others reach it.
func (w *world) place() Place {
	return Place{URL: w.url, TokenFile: w.file, Env: maps.Clone(w.env), Log: w.log}
}

// close ends all and leaves nothing behind.
func (w *world) close() {
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
func (w *world) daemonError() error {
	select {
	case err := <-w.ended:
		w.ended <- nil
		return err
	default:
		return nil
	}
}

// calls is how often AWS was asked for a slot's first keys.
func (w *world) calls(s slot) int { return firstCalls(w.aws.Requests(), s.role) }

// firstCalls counts the calls for a role until its refresh may be due, which is
// in the middle of the keys' life: a slow machine is still busy with the crowd
// then, and the refresh is no second call for the same keys.
func firstCalls(all []fakeaws.Request, role string) (n int) {
	var first time.Time
	for _, r := range all {
		if r.Op != "sts:AssumeRole" || r.RoleARN != role {
			continue
		}
		if first.IsZero() {
			first = r.Time
		}
		if r.Time.Sub(first) < keyLife*2/5 {
			n++
		}
	}
	return n
}

func (w *world) fail() {
	w.aws.ClearFaults()
	w.aws.Script(fakeaws.Fault{Match: "*", Status: http.StatusServiceUnavailable})
}

func (w *world) heal() { w.aws.ClearFaults() }

// waitForFailures waits until a refresh of every slot has failed, and says how
// many have in the slot with the fewest.
func (w *world) waitForFailures(ctx context.Context, most time.Duration) (fewest int, err error) {
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
