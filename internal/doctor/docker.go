package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rolecall/internal/shellword"
)

// Docker is the API of a container engine at a unix socket.
type Docker struct {
	// Socket is the path of the socket.
	Socket string
	// Process looks at a process of this machine. Nil: Process.
	Process func(pid int) (Program, error)
}

// DockerSocket is where the engine's socket is by DOCKER_HOST; "" when that
// names no socket of this machine.
func DockerSocket(host string) string {
	if host == "" {
		return "/var/run/docker.sock"
	}
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		return path
	}
	return ""
}

// inspected is what is read of GET /containers/NAME/json (Docker Engine API).
type inspected struct {
	Name  string
	State struct {
		Status string
		Pid    int
	}
	Config struct {
		Env        []string
		WorkingDir string
		User       string
		Cmd        []string
		Entrypoint []string
	}
	HostConfig struct{ NetworkMode string }
}

// Container is the program that runs in a container: with its own process where
// that can be looked at, else with the environment that it was given.
func (d Docker) Container(ctx context.Context, name string) (Program, error) {
	ctx, cancel := context.WithTimeout(ctx, NetworkLimit)
	defer cancel()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.Socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/"+url.PathEscape(name)+"/json", nil)
	if err != nil {
		return Program{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Program{}, d.noAnswer(err, name)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return Program{}, &engineError{"there is no container " + quote(name), "docker ps -a --format '{{.Names}}'"}
	default:
		return Program{}, fmt.Errorf("the container engine answered with status %d", resp.StatusCode)
	}
	var c inspected
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&c); err != nil || c.State.Status == "" {
		return Program{}, fmt.Errorf("what answers at %s is no container engine, or one that rolecall does not know", d.Socket)
	}
	if c.State.Pid <= 0 {
		p := d.given(c, name)
		p.Unseen = append(p.Unseen, "the container does not run ("+c.State.Status+"): its files were not looked at")
		p.Elsewhere = "the container does not run"
		return p, nil
	}
	look := d.Process
	if look == nil {
		look = Process
	}
	p, err := look(c.State.Pid)
	given := d.given(c, name)
	switch {
	case err == nil && p.Root == "": // an engine in a virtual machine counts its own processes
		given.Unseen = append(given.Unseen, fmt.Sprintf("the container's own process: %d is none of a container on this machine; these are the variables that the container was made with", c.State.Pid))
		given.Elsewhere = "the container does not run on this machine: run rolecall doctor in it"
		return given, nil
	case err != nil:
		given.Unseen = append(given.Unseen, "the container's own process: as root its files and its real environment can be seen; these are the variables that the container was made with")
		given.Elsewhere = "the container's network cannot be seen from here; as root rolecall doctor can say more"
		return given, nil
	case p.Env.Wiped:
		p.Env = given.Env
	}
	p.Name = "container " + name
	return p, nil
}

// given is the container as it was made.
func (d Docker) given(c inspected, name string) Program {
	p := Program{Name: "container " + name, Env: NewEnviron(c.Config.Env), Dir: c.Config.WorkingDir, NoFiles: true, Home: "/root"}
	if line := append(append([]string{}, c.Config.Entrypoint...), c.Config.Cmd...); len(line) > 0 {
		p.SDK = SDKOf(line[0])
	}
	return p
}

func (d Docker) noAnswer(err error, name string) error {
	var timeout net.Error
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the container engine at %s gives no answer within %s", d.Socket, NetworkLimit.Round(time.Second))
	case isPermission(err):
		return &NeedsRoot{"the container engine's socket " + d.Socket + " may not be used by you", "sudo --preserve-env=DOCKER_HOST rolecall doctor container " + shellword.Word(name)}
	case errors.As(err, &dial) && dial.Op == "dial":
		return &engineError{"there is no container engine at " + d.Socket, "name the engine's socket: export DOCKER_HOST=unix:///PATH"}
	}
	return fmt.Errorf("what answers at %s is no container engine", d.Socket)
}

// engineError is an error with what to do about it.
type engineError struct{ msg, hint string }

func (e *engineError) Error() string { return e.msg }

// Hint is the command to type.
func (e *engineError) Hint() string { return e.hint }

func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }
