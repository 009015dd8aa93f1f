package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// engine is a container engine at a unix socket that knows one container.
func engine(t *testing.T, status int, body string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // short: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip("no unix sockets here: ", err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.EscapedPath() != "/containers/my%2Fapp/json" {
			t.Errorf("asked for %s %s", r.Method, r.URL.EscapedPath())
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return socket
}

const running = `{"Name":"/app","State":{"Status":"running","Pid":4711},"Config":{"Env":["AWS_CONTAINER_CREDENTIALS_FULL_URI=http://host.docker.internal:4144/","SECRET=` + canary + `"],"Cmd":["php-fpm8.2"],"WorkingDir":"/app"}}`

func TestContainer(t *testing.T) {
	t.Parallel()
	look := func(status int, body string, process func(int) (Program, error)) (Program, error) {
		return Docker{Socket: engine(t, status, body), Process: process}.Container(t.Context(), "my/app")
	}
	seen := func(pid int) (Program, error) {
		return Program{Name: fmt.Sprint(pid), Env: NewEnviron([]string{"SEEN=1"}), Root: "/proc/4711/root"}, nil
	}
	p, err := look(200, running, seen)
	if err != nil || p.Env.Get("SEEN") != "1" || p.Name != "container my/app" || p.Root != "/proc/4711/root" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = look(200, running, func(int) (Program, error) { return Program{}, &NeedsRoot{Msg: "no"} })
	if err != nil || p.Env.Get(varFull) == "" || p.SDK != "PHP" || len(p.Unseen) != 1 || p.Elsewhere == "" {
		t.Errorf("unprivileged: %+v, %v", p, err)
	}
	p, err = look(200, running, func(int) (Program, error) {
		return Program{Env: ParseEnviron(make([]byte, 9)), Root: "/proc/4711/root"}, nil
	})
	if err != nil || p.Env.Get(varFull) == "" {
		t.Errorf("wiped: %+v, %v", p, err)
	}
	p, err = look(200, running, func(int) (Program, error) { return Program{Env: NewEnviron([]string{"HOST=1"})}, nil })
	if err != nil || p.Env.Get(varFull) == "" || p.Env.Get("HOST") != "" || p.Elsewhere == "" {
		t.Errorf("another process of this machine: %+v, %v", p, err)
	}
	p, err = look(200, strings.Replace(running, "4711", "0", 1), seen)
	if err != nil || p.Env.Get(varFull) == "" || p.Elsewhere != "the container does not run" {
		t.Errorf("stopped: %+v, %v", p, err)
	}
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{{404, `{"message":"No such container"}`, "there is no container"}, {500, canary, "status 500"}, {200, "<html>" + canary, "no container engine"}, {200, "", "no container engine"},
		{200, "{}", "no container engine"}, {200, "null", "no container engine"}, {200, `{"State":{"Pid":"12"}}`, "no container engine"}, {302, "", "status 302"}} {
		_, err := look(tt.status, tt.body, seen)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%d %q: %v", tt.status, tt.body, err)
		}
	}
	if _, err := (Docker{Socket: filepath.Join(t.TempDir(), "nosuch")}).Container(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "no container engine") {
		t.Error(err)
	}
}

// What the files of a container hold is not known where they cannot be seen:
// nothing is said to be missing.
func TestContainerWithoutFiles(t *testing.T) {
	t.Parallel()
	for _, env := range []string{
		`"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/","AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/secrets/token"`,
		`"AWS_WEB_IDENTITY_TOKEN_FILE=/run/secrets/token","AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev"`,
		`"AWS_PROFILE=dev"`,
	} {
		body := strings.Replace(running, `"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://host.docker.internal:4144/"`, env, 1)
		p, err := Docker{Socket: engine(t, 200, body), Process: func(int) (Program, error) { return Program{}, errors.New("no") }}.Container(t.Context(), "my/app")
		if err != nil {
			t.Fatal(err)
		}
		p.Env = NewEnviron(append([]string{"AWS_EC2_METADATA_DISABLED=true"}, strings.Split(strings.ReplaceAll(env, `"`, ""), ",")...))
		r := Run(t.Context(), Inspect(p, Config{Resolve: names}))
		checkSafe(t, r)
		for _, res := range r.Results {
			if res.Outcome == Failed || res.Outcome == Warning && res.Cause != "region.missing" {
				t.Errorf("%s: %+v", env, res)
			}
		}
	}
}

// An engine that accepts and never answers costs one second.
func TestContainerEngineHangs(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Skip("no unix sockets here: ", err)
	}
	defer l.Close()
	_, err = Docker{Socket: filepath.Join(dir, "s")}.Container(t.Context(), "x")
	if err == nil || !strings.Contains(err.Error(), "no answer within 1s") {
		t.Error(err)
	}
}

func TestDockerSocket(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"": "/var/run/docker.sock", "unix:///run/user/1/docker.sock": "/run/user/1/docker.sock", "tcp://10.0.0.1:2375": "", "ssh://me@host": ""} {
		if got := DockerSocket(host); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
	var root *NeedsRoot
	if err := (Docker{}).noAnswer(fmt.Errorf("x: %w", os.ErrPermission), "app"); !errors.As(err, &root) || root.Hint() != "sudo --preserve-env=DOCKER_HOST rolecall doctor container app" {
		t.Error(err)
	}
}
