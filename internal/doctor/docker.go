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
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.Socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/containers/"+url.PathEscape(name)+"/json", nil)
	if err != nil {
		return Program{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Program{}, d.noAnswer(err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return Program{}, fmt.Errorf("there is no container %s", quote(name))
	default:
		return Program{}, fmt.Errorf("the container engine answered with status %d", resp.StatusCode)
	}
	var c inspected
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(&c); err != nil {
		return Program{}, errors.New("the container engine's answer cannot be read")
	}
	if c.State.Pid == 0 {
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
	if err != nil || p.Env.Wiped {
		given := d.given(c, name)
		if err != nil {
			given.Unseen = append(given.Unseen, "the container's own process: as root its files and its real environment can be seen; these are the variables that the container was made with")
			given.Elsewhere = "the container's network cannot be seen from here; as root rolecall doctor can say more"
			return given, nil
		}
		p.Env = given.Env
	}
	p.Name = "container " + name
	return p, nil
}

// given is the container as it was made.
func (d Docker) given(c inspected, name string) Program {
	p := Program{Name: "container " + name, Env: NewEnviron(c.Config.Env), Dir: c.Config.WorkingDir, Root: "/proc/0/root", Home: "/root"}
	if line := append(append([]string{}, c.Config.Entrypoint...), c.Config.Cmd...); len(line) > 0 {
		p.SDK = SDKOf(line[0])
	}
	return p
}

func (d Docker) noAnswer(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the container engine at %s gives no answer within %s", d.Socket, NetworkLimit.Round(time.Second))
	case isPermission(err):
		return &NeedsRoot{"the container engine's socket " + d.Socket + " may not be used by you"}
	}
	return fmt.Errorf("there is no container engine at %s", d.Socket)
}

func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }
