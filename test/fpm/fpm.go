// Package fpm gives tests a real PHP-FPM: masters of their own, with their own
// files and sockets, started as a container or a service starts them.
package fpm

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Binary is php-fpm. The test is skipped where there is none.
func Binary(t testing.TB) string {
	t.Helper()
	for _, pattern := range []string{"/usr/sbin/php-fpm[0-9]*", "/usr/sbin/php-fpm", "/usr/local/sbin/php-fpm", "/usr/local/bin/php-fpm"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Skip("there is no php-fpm on this machine; script/setup installs it")
	return ""
}

// Nginx is nginx. The test is skipped where there is none.
func Nginx(t testing.TB) string {
	t.Helper()
	found, err := exec.LookPath("nginx")
	if err != nil {
		if found = "/usr/sbin/nginx"; !exists(found) {
			t.Skip("there is no nginx on this machine; script/setup installs it")
		}
	}
	return found
}

func exists(name string) bool { _, err := os.Stat(name); return err == nil }

// Dir is a short directory (sockets stand in it) that pools' users may enter.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fpm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Write writes files below dir: name → text, with {dir} and {user} replaced;
// {user} gives the lines user and group that a master of root needs. An
// absolute name is taken as it is below dir.
func Write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(Fill(dir, text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Fill replaces {dir} and {user}.
func Fill(dir, text string) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user = " + User() + "\ngroup = " + group() + "\n"
	}
	return strings.NewReplacer("{dir}", dir, "{user}", user).Replace(text)
}

// User is the pools' user when the tests run as root.
func User() string {
	b, _ := os.ReadFile("/etc/passwd")
	if bytes.Contains(b, []byte("\nwww-data:")) {
		return "www-data"
	}
	return "nobody"
}

func group() string {
	b, _ := os.ReadFile("/etc/group")
	for _, g := range []string{User(), "nobody", "nogroup"} {
		if bytes.Contains(b, []byte("\n"+g+":")) {
			return g
		}
	}
	return User()
}

// Options of a master.
type Options struct {
	Conf string   // the main file
	Env  []string // of the process that starts it, and so its own
	Args []string // further arguments
	Wrap []string // a command that runs it
	Bare bool     // no process between the test and the master
}

// Master is a running master.
type Master struct {
	PID int
	t   testing.TB

	mu    sync.Mutex
	log   bytes.Buffer
	ready chan struct{}
	cmd   *exec.Cmd
	done  chan struct{}
}

// Start starts a master and waits until it takes requests. Its error_log must
// be /proc/self/fd/2 (Global has it). Between the test and the master stands a
// shell, as the first process of a container does, unless Bare.
func Start(t testing.TB, o Options) *Master {
	t.Helper()
	m, err := Try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Global is the [global] section of a master that Start can start.
const Global = "[global]\nerror_log = /proc/self/fd/2\ndaemonize = no\nlog_level = notice\n"

// Pool is the beginning of a pool's section; its socket is {dir}/NAME.sock.
func Pool(name string) string {
	return "[" + name + "]\n{user}listen = \"{dir}/" + name + ".sock\"\npm = static\npm.max_children = 1\n"
}

// Try is Start that returns why the master did not start.
func Try(t testing.TB, o Options) (*Master, error) {
	t.Helper()
	line := append([]string{Binary(t), "-n", "-F", "-y", o.Conf}, o.Args...)
	line = append(append([]string{}, o.Wrap...), line...)
	if !o.Bare {
		// The shell tells the master's pid, and passes on how it ends.
		line = append([]string{"/bin/sh", "-c", `"$@" & echo "pid $!"; wait $!`, "sh"}, line...)
	}
	m := &Master{t: t, ready: make(chan struct{}, 64), done: make(chan struct{}), cmd: exec.Command(line[0], line[1:]...)}
	m.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, o.Env...)
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	m.PID = m.cmd.Process.Pid
	if !o.Bare {
		first, _ := bufio.NewReader(stdout).ReadString('\n')
		_, pid, _ := strings.Cut(strings.TrimSpace(first), " ")
		if m.PID, err = strconv.Atoi(pid); err != nil {
			return nil, fmt.Errorf("the shell said %q", first)
		}
	}
	go m.read(stderr)
	t.Cleanup(m.Stop)
	return m, m.Ready()
}

// Ready waits until the master says that it takes requests, after its start or
// after a reload.
func (m *Master) Ready() error {
	select {
	case <-m.ready:
		return nil
	case <-m.done:
		return fmt.Errorf("php-fpm ended: %s", m.Log())
	case <-time.After(20 * time.Second):
		return fmt.Errorf("php-fpm is not ready after 20 s: %s", m.Log())
	}
}

func (m *Master) read(r io.Reader) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		m.mu.Lock()
		m.log.WriteString(s.Text() + "\n")
		m.mu.Unlock()
		if strings.Contains(s.Text(), "ready to handle connections") {
			m.ready <- struct{}{}
		}
	}
	_ = m.cmd.Wait()
	close(m.done)
}

// Log is all that the master has said.
func (m *Master) Log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// Stop ends the master, by its pid.
func (m *Master) Stop() {
	select {
	case <-m.done:
		return
	default:
	}
	terminate(m.PID)
	select {
	case <-m.done:
	case <-time.After(10 * time.Second):
		kill(m.PID)
		_ = m.cmd.Process.Kill()
		<-m.done
	}
}
