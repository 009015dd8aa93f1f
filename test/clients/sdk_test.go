package clients_test

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/test/world"
)

// sdk is an unmodified SDK in a program that asks STS who it is.
type sdk struct {
	name string
	argv []string
	env  []string // beside that of the test
	cli  bool     // one answer for each start; the others answer for each line of input

	noTokenFile bool   // is older than AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
	noEndpoint  bool   // is older than AWS_ENDPOINT_URL_STS
	ownWords    string // what it says instead of the endpoint's message; "": it tells that
	missing     string // why it cannot be tried here; "" when it can
}

//go:embed testdata/client.py
var pythonClient string

// sdks are those on this machine, and those that are missing from it.
var sdks = sync.OnceValue(func() []sdk {
	all := findAll("aws CLI", "aws", awsCLI)
	all = append(all, findAll("boto3", "python3", boto3)...)
	all = append(all, javaScript("client-sts"), javaScript("fromNodeProviderChain"), javaScript("fromHttp"))
	self, err := os.Executable()
	goSDK := sdk{name: "aws-sdk-go-v2", argv: []string{self}, env: []string{asGoClient + "=1"}}
	if err != nil {
		goSDK.missing = err.Error()
	}
	return append(all, goSDK)
})

// eachSDK runs f for every SDK, side by side, and waits for all.
func eachSDK(t *testing.T, f func(t *testing.T, s sdk)) { each(t, sdks(), f) }

// eachLasting leaves out the aws CLI, which ends with its first answer.
func eachLasting(t *testing.T, f func(t *testing.T, s sdk)) {
	each(t, slices.DeleteFunc(slices.Clone(sdks()), func(s sdk) bool { return s.cli }), f)
}

func each(t *testing.T, all []sdk, f func(t *testing.T, s sdk)) {
	t.Run("sdk", func(t *testing.T) {
		for _, s := range all {
			t.Run(s.name, func(t *testing.T) {
				if s.missing != "" {
					t.Skip(s.missing)
				}
				t.Parallel()
				f(t, s)
			})
		}
	})
}

// findAll looks at the first program of a name on PATH, and at the system's own.
func findAll(what, program string, look func(path string) (sdk, error)) (found []sdk) {
	seen := map[string]bool{}
	why := "there is no " + program
	for _, candidate := range []string{program, "/usr/bin/" + program} {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		s, err := look(path)
		if err != nil {
			why = fmt.Sprintf("%s: %v", path, err)
			continue
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return []sdk{{name: what, cli: program == "aws", missing: what + " is not installed: " + why}}
	}
	return found
}

func awsCLI(path string) (sdk, error) {
	version, err := output(world.Surroundings(os.TempDir()), path, "--version")
	if err != nil {
		return sdk{}, err
	}
	s := sdk{cli: true, argv: []string{path, "sts", "get-caller-identity", "--output", "json"}}
	s.name = "aws CLI " + group(version, `aws-cli/(\S+)`)
	if strings.Contains(version, "aws-cli/2.") {
		minor := number(group(version, `aws-cli/2\.(\d+)`))
		s.noEndpoint, s.noTokenFile = minor < 13, minor < 15
	} else {
		s.oldBotocore(group(version, `botocore/(\S+)`))
	}
	return s, nil
}

func boto3(path string) (sdk, error) {
	versions, err := output(world.Surroundings(os.TempDir()), path, "-c", "import boto3, botocore; print(boto3.__version__, botocore.__version__)")
	if err != nil {
		return sdk{}, fmt.Errorf("it has no boto3")
	}
	boto3, botocore, _ := strings.Cut(strings.TrimSpace(versions), " ")
	s := sdk{name: "boto3 " + boto3, argv: []string{path, "-c", pythonClient}}
	s.oldBotocore(botocore)
	return s, nil
}

// oldBotocore notes what a botocore does not know yet: 1.31 brought
// AWS_ENDPOINT_URL_STS, and 1.34.41 the token file.
func (s *sdk) oldBotocore(version string) {
	minor, patch := number(group(version, `^1\.(\d+)`)), number(group(version, `^1\.\d+\.(\d+)`))
	s.noEndpoint = minor < 31
	s.noTokenFile = minor < 34 || minor == 34 && patch < 41
}

func javaScript(way string) sdk {
	s := sdk{name: "JavaScript " + way, env: []string{"NODE_PATH=" + os.Getenv("NODE_PATH")}}
	if way != "fromHttp" { // the chain forgets why each of its links failed
		s.ownWords = "Could not load credentials from any providers"
	}
	node, err := exec.LookPath("node")
	if err != nil {
		s.missing = "there is no node"
		return s
	}
	script, err := filepath.Abs(filepath.Join("js", "client.cjs"))
	if err != nil {
		s.missing = err.Error()
		return s
	}
	s.argv = []string{node, script, way}
	out, err := output(append(world.Surroundings(os.TempDir()), s.env...), s.argv...) // with no input it only loads the SDK
	if err != nil {
		s.missing = "the AWS SDK for JavaScript is not installed: make setup"
		if _, there := os.Stat(filepath.Join("js", "node_modules")); there == nil {
			s.missing = "the AWS SDK for JavaScript does not run with this node: " + lastLine(out)
		}
	}
	return s
}

// output runs a program; beside an error it returns what the program said.
func output(env []string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func group(s, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1 << 20 // a version that is not read is a new one
	}
	return n
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
