//go:build unix

package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

const boto3 = `
import boto3, json, os
try:
    print(json.dumps({"arn": boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"]).get_caller_identity()["Arn"]}))
except Exception as e:
    print(json.dumps({"error": str(e)}))
`

// sdk is a program with an unmodified SDK that tells who it is.
type sdk struct {
	name string
	argv []string
	env  []string
	in   string
}

// sdks are those on this machine.
func sdks(t *testing.T) (found []sdk) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, sdk{name: "Go", argv: []string{self}, env: []string{asGoClient + "=1"}})
	modules := orElse(os.Getenv("NODE_PATH"), filepath.Join("..", "clients", "js", "node_modules"))
	modules, _ = filepath.Abs(modules)
	script, _ := filepath.Abs(filepath.Join("..", "clients", "js", "client.cjs"))
	for _, s := range []sdk{
		{name: "Python", argv: []string{"python3", "-c", boto3}},
		{name: "the aws CLI", argv: []string{"aws", "sts", "get-caller-identity", "--output", "json"}},
		{name: "JavaScript", argv: []string{"node", script, "client-sts"}, env: []string{"NODE_PATH=" + modules}, in: "\n"},
	} {
		if path, err := exec.LookPath(s.argv[0]); err == nil && works(s) {
			s.argv[0] = path
			found = append(found, s)
		} else {
			t.Logf("%s is not tried: it is not installed here", s.name)
		}
	}
	return found
}

// works says whether the SDK is there at all.
func works(s sdk) bool {
	probe := map[string][]string{"Python": {"-c", "import boto3"}, "the aws CLI": {"--version"}, "JavaScript": {"-e", "require('@aws-sdk/client-sts')"}}[s.name]
	c := exec.Command(s.argv[0], probe...)
	c.Env = append(os.Environ(), s.env...)
	return c.Run() == nil
}

// identity is the ARN that the program prints, "" when it gets no credentials.
func (s sdk) identity(t *testing.T, env []string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, s.argv[0], s.argv[1:]...)
	c.Env = append(append([]string{}, env...), s.env...)
	c.Stdin = strings.NewReader(s.in)
	out, _ := c.Output()
	var a struct{ ARN string }
	_ = json.Unmarshal(out, &a)
	return a.ARN
}

// quietAddr is free, and below the ports that the system gives to whoever asks
// for any, so that it stays so.
func quietAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

func TestRow56ApplicationFirst(t *testing.T) {
	t.Parallel()
	// An instance role that nobody may fall back to.
	s := newSite(t, fakeaws.Config{})
	addr := quietAddr(t) // free now, and the daemon's later
	env := s.Program("http://"+addr+"/", "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.AWS.URL())
	all := sdks(t)
	other, right := 0, 0
	ask := func(want bool) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, one := range all {
			wg.Go(func() {
				arn := one.identity(t, env)
				mu.Lock()
				defer mu.Unlock()
				switch isDev := strings.Contains(arn, "111111111111") && strings.Contains(arn, "/dev/"); {
				case arn != "" && !isDev:
					other++
					t.Errorf("%s is %s", one.name, arn)
				case isDev:
					right++
				case want:
					t.Errorf("%s gets no credentials", one.name)
				}
			})
		}
		wg.Wait()
	}
	ask(false)
	if right > 0 {
		t.Error("credentials without a daemon")
	}

	// The daemon comes up beside readers, over an upstream that takes its time.
	s.AWS.Script(fakeaws.Fault{Match: "sts:AssumeRole", Delay: 4800 * time.Millisecond})
	var mu sync.Mutex
	seen := map[string]int{}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				status, answer, err := (&world.Daemon{URL: "http://" + addr}).Get("/")
				what := fmt.Sprint(status)
				if err != nil {
					what = "refused"
				} else if status == http.StatusOK {
					if k, ok := s.AWS.Issued(fmt.Sprint(answer["AccessKeyId"])); !ok || k.RoleARN != fakeaws.RoleDev {
						what = "another role"
					}
				}
				mu.Lock()
				seen[what]++
				mu.Unlock()
			}
		})
	}
	s.serve(world.Options{Listen: addr}, "--load", "dev")
	ok := within(20*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return seen["200"] > 20 })
	close(stop)
	wg.Wait()
	s.AWS.ClearFaults()
	ask(true)
	var kinds []string
	for what := range seen {
		kinds = append(kinds, what)
		if !slices.Contains([]string{"refused", "503", "200"}, what) {
			ok = false
			t.Errorf("%d answers were %s", seen[what], what)
		}
	}
	slices.Sort(kinds)
	var names []string
	for _, one := range all {
		names = append(names, one.name)
	}
	row(t, 56, ok && other == 0 && right == len(all), "%d answers for another role (SDKs: %s, with an instance role within reach); readers saw only %s while it started; all SDKs right afterwards", other, strings.Join(names, ", "), strings.Join(kinds, ", "))
}
