// Package attack_test takes the part of the attackers: pages in a browser,
// servers that fetch URLs for others, other users, other programs of the same
// user, hostile files, upstreams and names. docs/security.md names these tests.
package attack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/test/world"
)

// childMode makes this program one that a test runs as somebody else.
const childMode = "ROLECALL_ATTACK_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := child(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(world.Main(m.Run))
}

// bombardment is what a child sends, and what it got back.
type bombardment struct {
	Network, Addr string
	Requests      []string
	Answers       []string
	Failed        int // requests without an answer
}

func child(mode string) error {
	switch mode {
	case "bombard":
		var b bombardment
		if err := json.NewDecoder(os.Stdin).Decode(&b); err != nil {
			return err
		}
		for _, r := range b.Requests {
			answer, err := exchange(b.Network, b.Addr, r)
			if err != nil {
				b.Failed++
			}
			b.Answers = append(b.Answers, answer)
		}
		b.Requests = nil
		return json.NewEncoder(os.Stdout).Encode(b)
	}
	return childOnLinux(mode)
}

// exchange sends bytes over a connection of its own, says that no more will
// come, and returns all that came back.
func exchange(network, addr, request string) (string, error) {
	c, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		_, _ = io.WriteString(c, request)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	b, err := io.ReadAll(c)
	if len(b) > 0 {
		err = nil // the server may hang up on what it does not read
	}
	return string(b), err
}

// lines makes a request: "GET / HTTP/1.1" and header lines.
func lines(all ...string) string { return strings.Join(all, "\r\n") + "\r\n\r\n" }

// statuses are those of all answers in text.
func statuses(text string) (all []string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "HTTP/1.1 "); ok && len(rest) >= 3 {
			all = append(all, rest[:3])
		}
	}
	return all
}

func bodyOf(text string) string {
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	return body
}

// credentials says whether text has what the fake AWS issued.
func credentials(text string) bool { return strings.Contains(text, world.Canary) }

// works fails the test unless a good client gets credentials now.
func works(t testing.TB, d *world.Daemon, header ...string) {
	t.Helper()
	if status, answer, err := d.Get("/", header...); err != nil || status != http.StatusOK || answer["SecretAccessKey"] == nil {
		t.Fatalf("a good client got %d, %v", status, err)
	}
}

// filled is works for a named slot, whose first credentials may be on their way.
func filled(t testing.TB, d *world.Daemon, name string) {
	t.Helper()
	if status, _, err := d.Get("/slot/" + name); err != nil || status != http.StatusOK {
		t.Fatalf("slot %s: %d, %v", name, status, err)
	}
}

// tokenOf is the daemon's authorization token.
func tokenOf(t testing.TB, w *world.World) string {
	t.Helper()
	b, err := os.ReadFile(w.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// slots is what the daemon says of its slots, but for times.
func slots(t testing.TB, d *world.Daemon, header ...string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, d.URL+"/slot", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var list []struct{ ProfileName, RoleName string }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(list)
}

// nobody is a user without rights of its own.
const nobody = 65534

// asNobody runs this program as another user, in a mode of child.
func asNobody(t testing.TB, mode string, stdin io.Reader) []byte {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run a program as another user")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rolecall-attack-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	copied := filepath.Join(dir, "attacker")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// By another program: a file that this one wrote could not be run while a
	// child that starts meanwhile has it open for writing.
	if out, err := exec.Command("cp", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	cmd := exec.Command("setpriv", fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), "--clear-groups", copied)
	cmd.Env, cmd.Dir, cmd.Stdin = append(world.Surroundings("/"), childMode+"="+mode), "/", stdin
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", mode, err, complaints.String())
	}
	return out
}

// bombard sends requests as another user.
func bombard(t testing.TB, network, addr string, requests []string) bombardment {
	t.Helper()
	in, err := json.Marshal(bombardment{Network: network, Addr: addr, Requests: requests})
	if err != nil {
		t.Fatal(err)
	}
	var b bombardment
	if err := json.Unmarshal(asNobody(t, "bombard", strings.NewReader(string(in))), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Answers) != len(requests) {
		t.Fatalf("%d answers to %d requests", len(b.Answers), len(requests))
	}
	return b
}
