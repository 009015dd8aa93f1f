package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a process under load.
type server struct {
	cmd     *exec.Cmd
	addr    string
	started time.Time
	ready   time.Duration // from exec to the line that says so
	logs    *os.File
	out     *bufio.Reader // stdout behind the lines that were read
}

// startServer runs a command whose first line on stdout ends in its URL.
func startServer(env []string, dir string, name string, args ...string) (*server, error) {
	s := &server{cmd: exec.Command(name, args...)}
	s.cmd.Env = env
	logs, err := os.Create(filepath.Join(dir, fmt.Sprintf("stderr-%d.log", time.Now().UnixNano())))
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr, s.logs = logs, logs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.started = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	line, err := s.out.ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		text, _ := os.ReadFile(logs.Name())
		return nil, fmt.Errorf("%s said nothing: %w\n%s", name, err, text)
	}
	s.ready = time.Since(s.started)
	s.addr = addrIn(line)
	return s, nil
}

func addrIn(line string) string {
	_, rest, _ := strings.Cut(line, "http://")
	return strings.Trim(rest, "/\n")
}

// nextAddr is the address in the next line on stdout.
func (s *server) nextAddr() (string, error) {
	line, err := s.out.ReadString('\n')
	return addrIn(line), err
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(os.Interrupt)
	err := s.cmd.Wait()
	_ = s.logs.Close()
	return err
}

// kill ends a server that has nothing to wind up.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = s.logs.Close()
}

// cpu is the processor time the process has used, by the scheduler's own clock
// of each of its threads (nanoseconds).
func (s *server) cpu() time.Duration {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// rss is the process's resident memory in MiB.
func (s *server) rss() float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// bare is the baseline: net/http with one handler that writes a canned body of
// the size of a credentials document, with its headers preset and nothing else.
func bare() error {
	body := []byte(strings.Repeat("x", 900))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("bare: serving on http://%s/\n", ln.Addr())
	ctype, length := []string{"application/json"}, []string{strconv.Itoa(len(body))}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = ctype, length
		_, _ = w.Write(body)
	}))
}
