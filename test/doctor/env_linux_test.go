package diagnosis

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program runs a program until the test ends, and returns its pid.
func program(s *Site, env []string, argv ...string) int {
	s.T.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	c.Env, c.Dir = env, s.Home
	in, err := c.StdinPipe()
	if err != nil {
		s.T.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		s.T.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.T.Skip("cannot be run here: ", err)
	}
	s.T.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	// The last program in the line says its pid when it runs.
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		s.T.Fatal(err)
	}
	return pid
}

// ownNetwork makes the call of doctor in a network namespace of its own, where
// no address of a metadata service can be reached.
func ownNetwork(s *Site) {
	if err := exec.Command("unshare", "-n", "true").Run(); err != nil {
		s.T.Skip("no network namespace can be made here: ", err)
	}
	s.Prefix = []string{"unshare", "-n"}
}

const tellPID = "echo $$; read line"

func TestBrokenProcesses(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"a supervisor that starts its program with an empty environment", "env.lost", func(s *Site) {
			outer := append(s.Plain(), "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARYworld")
			pid := program(s, outer, "sh", "-c", "env -i HOME=/nonexistent AWS_REGION=eu-west-1 AWS_EC2_METADATA_DISABLED=true PATH=\"$PATH\" sh -c '"+tellPID+"'; true")
			s.Args = []string{"--pid", fmt.Sprint(pid)}
		}},
		{"a process whose AWS_PROFILE is in another user's files", "profile.missing", func(s *Site) {
			pid := program(s, append(s.Plain(), "AWS_PROFILE=dev", "HOME="+s.Home+"/other"), "sh", "-c", tellPID)
			s.Args = []string{"--pid", fmt.Sprint(pid)}
		}},
		{"a PHP program whose URI is on another machine", "container.host", func(s *Site) {
			pid := program(s, append(s.Plain(), "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1:4144/"), "sh", "-c", tellPID)
			s.Args = []string{"--pid", fmt.Sprint(pid), "--sdk", "php"}
		}},
		{"a wrapper that drops the variables of the program it runs", "env.lost", func(s *Site) {
			s.Set("AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.AWS.ContainerURL("app"))
			s.Args = []string{"--", "env", "-i", "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-west-1", "sh", "-c", "sleep 1; exit 1"}
		}},
		{"a token file that only root may read", "container.token-file-unreadable", func(s *Site) {
			if os.Geteuid() != 0 {
				s.T.Skip("only root can start a process of another user")
			}
			token := s.Write("token", "CANARYworld", 0o600)
			pid := program(s, append(s.Plain(), "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.AWS.ContainerURL("app"), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+token),
				"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", tellPID)
			s.Args = []string{"--pid", fmt.Sprint(pid)}
		}},
		{"a container made with the URI of another machine", "container.host", func(s *Site) {
			dockerd(s, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1:4144/creds", "AWS_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true")
			s.Args = []string{"container", "app"}
		}},
		{"no EC2, and nothing set up", "chain.empty", func(s *Site) {
			ownNetwork(s)
			s.Set("AWS_EC2_METADATA_DISABLED=false")
		}},
		{"a stale relative URI of a task that ended, beside rolecall's", "container.relative-hides-full", func(s *Site) {
			ownNetwork(s)
			s.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARYworld", "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.AWS.ContainerURL("app"))
		}},
		{"a task's URI outside of ECS", "container.refused", func(s *Site) {
			ownNetwork(s)
			s.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARYworld")
		}},
	} {
		Try(t, c)
	}
}

func TestHealthyProcesses(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"a process with a container endpoint", "", func(s *Site) {
			pid := program(s, append(s.Plain(), "AWS_CONTAINER_CREDENTIALS_FULL_URI="+s.AWS.ContainerURL("app")), "sh", "-c", tellPID)
			s.Args = []string{"--pid", fmt.Sprint(pid)}
		}},
		{"a container with keys", "", func(s *Site) {
			dockerd(s, "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY=CANARYworld", "AWS_REGION=eu-west-1")
			s.Args = []string{"container", "app"}
		}},
		{"a container whose files cannot be seen", "", func(s *Site) {
			dockerd(s, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/var/run/secrets/token", "AWS_REGION=eu-west-1")
			s.Args = []string{"container", "app"}
		}},
		{"a program that is run and ends well", "", func(s *Site) {
			s.Set("AWS_CONTAINER_CREDENTIALS_FULL_URI=" + s.AWS.ContainerURL("app"))
			s.Args = []string{"--", "sh", "-c", "exit 0"}
		}},
	} {
		Try(t, c)
	}
}

// dockerd is a container engine with one container that does not run, made
// with these variables.
func dockerd(s *Site, env ...string) {
	socket := filepath.Join(s.Home, "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		s.T.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/containers/app/json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"Name":"/app","State":{"Status":"created","Pid":0},"Config":{"Env":["`+strings.Join(env, `","`)+`"],"Cmd":["php-fpm"]}}`)
	})}
	go func() { _ = server.Serve(l) }()
	s.T.Cleanup(func() { _ = server.Close() })
	s.Set("DOCKER_HOST=unix://" + socket)
}
