package clients_test

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/clients/matrix"
	"rolecall/test/world"
)

const (
	insideMatrix = "CLIENTS_TEST_INSIDE_MATRIX" // the file for results; set in the namespace
	goV1Program  = "CLIENTS_TEST_GO_V1"         // its path, or why there is none
)

// Every client by every way in. All of it runs in a network namespace that this
// program makes by starting itself anew, so that no client, whatever it makes of
// its settings, reaches a metadata service but ours.
func TestMatrix(t *testing.T) {
	if path := os.Getenv(insideMatrix); path != "" {
		runMatrix(t, path)
		return
	}
	t.Parallel()
	for _, program := range []string{"ip", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("there is no " + program)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can put AWS's addresses on an interface")
	}
	file := filepath.Join(t.TempDir(), "results.json")
	c := exec.Command(os.Args[0], "-test.run", "^TestMatrix$", "-test.timeout", "5m", "-test.v")
	c.Env = append(os.Environ(), insideMatrix+"="+file, goV1Program+"="+buildGoV1(t))
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	results, err := matrix.Results(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Client+"/"+r.Way, func(t *testing.T) {
			why := matrix.Cannot()[[2]string{r.Client, r.Way}]
			switch {
			case r.LeftOut != "" && r.LeftOut != why:
				t.Skip(r.LeftOut)
			case r.LeftOut == "" && why == "" && !r.Works:
				t.Errorf("%s does not work: %s", r.Version, r.Said)
			case r.LeftOut == "" && why != "" && r.Works:
				t.Errorf("%s works, and the page says: %s", r.Version, why)
			}
		})
	}
	if n := len(matrix.Clients()) * len(matrix.Ways()); len(results) != n {
		t.Errorf("%d results, want %d", len(results), n)
	}
	if to := os.Getenv("ROLECALL_CLIENTS"); to != "" {
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// buildGoV1 is the path of the client of version 1, or why it cannot be built.
func buildGoV1(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gov1")
	c := exec.Command("go", "build", "-o", path, ".")
	c.Dir, c.Env = "gov1", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "version 1 of the SDK for Go cannot be built here: " + lastLine(string(out))
	}
	return path
}

// phase is one daemon, and the ways to it. Each way has nothing else to fall
// back on that would give it credentials all the same.
type phase struct {
	args []string
	ways map[string]func(p *reached) []string // what the program is given
}

// reached is a phase's daemon.
type reached struct {
	*world.World
	*world.Daemon
	withoutTokens string // the metadata service as one that knows version 1 only
}

const metadataOn = "-AWS_EC2_METADATA_DISABLED" // taken out

func phases() []phase {
	container := func(set ...string) func(*reached) []string { return func(*reached) []string { return set } }
	return []phase{
		{[]string{"--imds", "127.0.0.1:0"}, map[string]func(*reached) []string{
			matrix.FullURI: func(p *reached) []string { return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + p.URL + "/creds"} },
			matrix.V2: func(p *reached) []string {
				return []string{metadataOn, "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + p.MetadataURL() + "/"}
			},
		}},
		{[]string{"--imds", "127.0.0.1:0", "--imds-v1"}, map[string]func(*reached) []string{
			matrix.V1: func(p *reached) []string {
				return []string{metadataOn, "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + p.withoutTokens + "/", "METADATA_V1=yes"}
			},
		}},
		{[]string{"--link-local"}, map[string]func(*reached) []string{
			matrix.Relative:  container("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds"),
			matrix.V2Address: container(metadataOn),
		}},
		{[]string{"--link-local", "--auth", "token"}, map[string]func(*reached) []string{
			matrix.EKS: func(p *reached) []string {
				return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials", tokenFile + "=" + p.TokenFile()}
			},
		}},
		{[]string{"--link-local", "--imds-v1"}, map[string]func(*reached) []string{
			matrix.V1Address: container(metadataOn, "METADATA_V1=yes"),
		}},
	}
}

// runMatrix is the test inside the namespace.
func runMatrix(t *testing.T, file string) {
	if all, err := net.Interfaces(); err != nil || len(all) != 1 || all[0].Flags&net.FlagUp != 0 {
		t.Fatalf("this is not a network namespace of our own: %v, %v", all, err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	all := matrixClients()
	var mu sync.Mutex
	var results []matrix.Result
	for i, ph := range phases() {
		t.Run(fmt.Sprint("phase ", i), func(t *testing.T) {
			w := world.New(t, fakeaws.Config{})
			p := &reached{World: w, Daemon: w.Serve(append([]string{"--load", "dev"}, ph.args...)...)}
			if _, there := ph.ways[matrix.V1]; there {
				p.withoutTokens = v1Only(t, p.MetadataURL())
			}
			var running sync.WaitGroup
			room := make(chan struct{}, 6)
			for way, settings := range ph.ways {
				for _, c := range matrix.Clients() {
					running.Go(func() {
						room <- struct{}{}
						defer func() { <-room }()
						r := all[c.Key].try(t, p, c.Key, way, settings(p))
						mu.Lock()
						defer mu.Unlock()
						results = append(results, r)
					})
				}
			}
			running.Wait()
		})
	}
	slices.SortFunc(results, func(a, b matrix.Result) int { return strings.Compare(a.Client+"/"+a.Way, b.Client+"/"+b.Way) })
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, r := range results {
		if err := json.NewEncoder(f).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
}

// v1Only is the metadata service with requests for tokens answered 404.
func v1Only(t *testing.T, metadata string) string {
	target, err := url.Parse(metadata)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }} // adds no X-Forwarded-For
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			http.NotFound(w, r)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// matrixClient is an sdk, or why there is none.
type matrixClient struct {
	sdk
	version string
}

func (c matrixClient) try(t *testing.T, p *reached, client, way string, settings []string) matrix.Result {
	r := matrix.Result{Client: client, Way: way, Version: c.version, Date: time.Now().UTC().Format(time.DateOnly), Machine: runtime.GOOS + "/" + runtime.GOARCH}
	why := matrix.Cannot()[[2]string{client, way}]
	if way == matrix.V1Address && why != "" {
		r.LeftOut = why
		return r
	}
	if c.missing != "" {
		r.LeftOut = c.missing
		return r
	}
	env := world.Surroundings(filepath.Join(p.Home, "nobody"))
	for _, e := range p.AWS.Environ() {
		if !strings.HasPrefix(e, "AWS_EC2_") {
			env = append(env, e)
		}
	}
	for _, s := range settings {
		if out, found := strings.CutPrefix(s, "-"); found {
			env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, out+"=") })
			continue
		}
		env = append(env, s)
	}
	a := c.identity(t, env)
	r.Works = a.Error == "" && strings.HasPrefix(a.ARN, roleSession(fakeaws.RoleDev))
	if !r.Works {
		r.Said = lastLine(strings.TrimSpace(a.ARN + " " + a.Error))
		if len(r.Said) > 300 {
			r.Said = r.Said[:300]
		}
	}
	for _, leak := range p.Leaks(r.Said) {
		t.Errorf("%s is in what %s says", leak, client)
		r.Said = ""
	}
	return r
}

//go:embed testdata/client.rb
var rubyClient string

//go:embed testdata/client.php
var phpClient string

//go:embed testdata/client.sh
var shellClient string

// matrixClients are those of this machine by their keys in the matrix.
func matrixClients() map[string]matrixClient {
	found := map[string]matrixClient{}
	put := func(key string, s sdk, version string) {
		if s.missing != "" {
			version = ""
		}
		found[key] = matrixClient{s, version}
	}
	for _, s := range sdks() {
		version := s.name[strings.LastIndexByte(s.name, ' ')+1:]
		switch {
		case strings.HasPrefix(s.name, "aws CLI 1."):
			put("aws-cli-1", s, version)
		case strings.HasPrefix(s.name, "aws CLI 2."):
			put("aws-cli-2", s, version)
		case strings.HasPrefix(s.name, "boto3 ") && s.noTokenFile:
			put("boto3-old", s, version)
		case strings.HasPrefix(s.name, "boto3 "):
			put("boto3-new", s, version)
		case s.name == "JavaScript client-sts":
			put("js-v3", s, npmVersion("@aws-sdk/client-sts"))
		case s.name == "aws-sdk-go-v2":
			put("go-v2", s, group(read("../../go.mod"), `github.com/aws/aws-sdk-go-v2 v(\S+)`))
		}
	}
	put("js-v2", javaScriptV2(), npmVersion("aws-sdk"))
	put("go-v1", goV1(), group(read("gov1/go.mod"), `aws-sdk-go v(\S+)`))
	put("ruby", script("ruby", "the SDK for Ruby", []string{"-e", `require "aws-sdk-core"`}, "-e", rubyClient), said(nil, "ruby", "-e", `require "aws-sdk-core"; puts Aws::CORE_GEM_VERSION`))
	put("php-async-aws", script("php", "async-aws", []string{"-r", `require "AsyncAws/Core/autoload.php"; require "Symfony/Component/HttpClient/autoload.php";`}, "-r", strings.TrimPrefix(phpClient, "<?php")),
		said(nil, "dpkg-query", "-W", "-f", "${source:Upstream-Version}", "php-async-aws-core"))
	put("curl", script("sh", "curl", []string{"-c", "curl --version"}, "-c", shellClient), group(said(nil, "curl", "--version"), `curl (\S+)`))
	for _, c := range matrix.Clients() {
		if _, there := found[c.Key]; !there {
			found[c.Key] = matrixClient{sdk: sdk{missing: "not installed on this machine"}}
		}
	}
	return found
}

// script is a client that an interpreter runs, if it passes a test.
func script(interpreter, what string, test []string, args ...string) sdk {
	s := sdk{name: what, argv: append([]string{interpreter}, args...)}
	if out, err := output(world.Surroundings(os.TempDir()), append([]string{interpreter}, test...)...); err != nil {
		s.missing = what + " is not installed: " + lastLine(out+err.Error())
	}
	return s
}

func javaScriptV2() sdk {
	s := javaScript("client-sts")
	s.env = []string{"NODE_PATH=" + nodePath()}
	if s.missing != "" {
		return s
	}
	file, err := filepath.Abs(filepath.Join("js", "client-v2.cjs"))
	if err != nil {
		s.missing = err.Error()
	}
	s.argv = []string{s.argv[0], file}
	if _, err := output(append(world.Surroundings(os.TempDir()), s.env...), s.argv...); err != nil {
		s.missing = "version 2 of the SDK for JavaScript is not installed: make setup"
	}
	return s
}

func nodePath() string {
	if p := os.Getenv("NODE_PATH"); p != "" {
		return p
	}
	dir, _ := filepath.Abs(filepath.Join("js", "node_modules"))
	return dir
}

func npmVersion(name string) string {
	return group(read(filepath.Join(nodePath(), name, "package.json")), `"version": "(.*?)"`)
}

func goV1() sdk {
	path := os.Getenv(goV1Program)
	if !filepath.IsAbs(path) {
		return sdk{missing: path}
	}
	return sdk{name: "aws-sdk-go", argv: []string{path}}
}

// said is the first line of what a program prints; "" when it fails.
func said(env []string, argv ...string) string {
	out, err := output(append(world.Surroundings(os.TempDir()), env...), argv...)
	if err != nil {
		return ""
	}
	line, _ := bufio.NewReader(strings.NewReader(out)).ReadString('\n')
	return strings.TrimSpace(line)
}

func read(file string) string {
	b, _ := os.ReadFile(file) // "" has no version in it
	return string(b)
}
