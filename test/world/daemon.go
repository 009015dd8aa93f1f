package world

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Daemon is a running `rolecall serve`.
type Daemon struct {
	world *World
	cmd   *exec.Cmd
	URL   string // of its first listener, without a slash at the end
	Ready time.Duration

	out  Buffer // stdout but for the first line, and stderr
	ends chan error
	told sync.Once
	once sync.Once
	err  error
}

// Options of a daemon that is not run plainly.
type Options struct {
	Prefix []string   // a command that runs it: prlimit, setpriv, systemd-run …
	Env    []string   // further variables
	Files  []*os.File // inherited from descriptor 3 on
	Listen string     // instead of 127.0.0.1:0; "-" for no such flag
	Fails  bool       // it is expected to end by itself, or not cleanly
	Plain  bool       // never with the race detector: for figures of time and memory
}

// Serve runs `rolecall serve ARGS` on a free port of loopback until the test
// ends, and waits until it is ready.
func (w *World) Serve(args ...string) *Daemon { w.T.Helper(); return w.ServeWith(Options{}, args...) }

// ServeWith is Serve with options.
func (w *World) ServeWith(o Options, args ...string) *Daemon {
	w.T.Helper()
	d, err := w.Start(o, args...)
	if err != nil {
		w.T.Fatal(err)
	}
	return d
}

// Start is ServeWith that returns why the daemon did not become ready.
func (w *World) Start(o Options, args ...string) (*Daemon, error) {
	w.T.Helper()
	bin, err := Binary()
	if o.Plain {
		bin, err = Plain()
	}
	if err != nil {
		w.T.Fatal(err)
	}
	line := append([]string{}, o.Prefix...)
	line = append(line, bin, "serve")
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Listen != "-" {
		line = append(line, "--listen", o.Listen)
	}
	line = append(line, args...)
	d := &Daemon{world: w, cmd: exec.Command(line[0], line[1:]...), ends: make(chan error, 1)}
	d.cmd.Env, d.cmd.Dir, d.cmd.Stderr, d.cmd.ExtraFiles = w.Environ(o.Env...), w.Home, &d.out, o.Files
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	first := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- line
		_, _ = io.Copy(&d.out, r)
		d.ends <- d.cmd.Wait()
	}()
	w.T.Cleanup(func() { d.finish(o.Fails) })
	select {
	case line := <-first:
		d.Ready = time.Since(began)
		_, url, found := strings.Cut(line, "serving on ")
		if !found {
			return d, errors.New("the daemon was not ready: " + line + d.out.String())
		}
		d.URL = strings.TrimSuffix(strings.TrimSpace(url), "/")
		return d, nil
	case <-time.After(30 * time.Second):
		return d, errors.New("the daemon is not ready after 30 s: " + d.out.String())
	}
}

// PID of the process that was started (of Options.Prefix's, unless that execs).
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Log is all that the daemon has said so far.
func (d *Daemon) Log() string { return d.out.String() }

// Addr is host:port of the first listener.
func (d *Daemon) Addr() string {
	_, addr, _ := strings.Cut(d.URL, "://")
	return addr
}

// MetadataURL is that of the first listener of `--imds`, without a slash at the
// end. The daemon says it right after it is ready.
func (d *Daemon) MetadataURL() string {
	d.world.T.Helper()
	const before = "instance metadata on "
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if _, rest, found := strings.Cut(d.Log(), before); found {
			if url, _, whole := strings.Cut(rest, "\n"); whole {
				return strings.TrimSuffix(url, "/")
			}
		}
		<-tick.C
	}
	d.world.T.Fatal("the daemon serves no metadata: " + d.Log())
	return ""
}

// Wait waits for the daemon's end; its error is that of exec.Cmd.Wait.
func (d *Daemon) Wait() error {
	d.once.Do(func() { d.err = <-d.ends })
	return d.err
}

// Signal sends a signal to the daemon.
func (d *Daemon) Signal(s os.Signal) {
	d.world.T.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.world.T.Error(err)
	}
}

// Stop ends the daemon and says how it ended.
func (d *Daemon) Stop() error {
	d.told.Do(func() { _ = d.terminate() }) // a second signal would end it at once
	return d.Wait()
}

func (d *Daemon) finish(fails bool) {
	t := d.world.T
	err := d.Stop()
	if err != nil && !fails {
		t.Errorf("the daemon ended with %v", err)
	}
	text := d.out.String()
	if strings.Contains(text, "DATA RACE") {
		t.Error("the race detector found something in the daemon")
	}
	for _, leak := range d.world.Leaks(text) {
		t.Errorf("%s is in the daemon's output", leak)
	}
	if t.Failed() {
		lines := strings.SplitAfter(strings.ReplaceAll(text, Canary, "…"), "\n")
		t.Logf("the end of the daemon's log:\n%s", strings.Join(lines[max(0, len(lines)-12):], ""))
	}
}

// Get asks the daemon for a path and decodes the JSON of the answer. header are
// further lines, "Name: value".
func (d *Daemon) Get(path string, header ...string) (status int, answer map[string]any, err error) {
	req, err := http.NewRequest(http.MethodGet, d.URL+path, nil)
	if err != nil {
		return 0, nil, err
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, nil, err
	}
	_ = json.Unmarshal(b, &answer) // nil for an array or what is no JSON
	return resp.StatusCode, answer, nil
}

// Buffer is a bytes.Buffer for several goroutines.
type Buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
