package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
)

// resolves says whether an environment names a host that has to be looked up;
// those are not tried with real SDKs, which would ask a resolver.
func (m firstMatch) resolves() bool {
	return strings.Contains(m.env, ".example") || strings.Contains(m.env, ".internal")
}

// kindOf is a first match without its URL, and any fault as "broken".
func kindOf(first string) string {
	first, _, _ = strings.Cut(first, " ")
	if strings.HasPrefix(first, "broken:") {
		return "broken"
	}
	return first
}

// The Go rules are those of the SDK for Go that this module has: it is asked
// what it would use, and nothing is fetched.
func TestGoRulesAreTheSDKs(t *testing.T) {
	tried := 0
	for _, tt := range firstMatches() {
		// When a file is read, a token checked, or IMDS refused, shows in Go
		// only at the first retrieval.
		late := strings.Contains(tt.env, "TOKEN_FILE") || strings.Contains(tt.env, "METADATA")
		if tt.resolves() || late {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			for _, e := range os.Environ() {
				if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
					t.Setenv(name, "") // put back after the test
					_ = os.Unsetenv(name)
				}
			}
			dir := home(t, everyProfile, "") // the SDK looked for its HOME when it was initialised
			for _, e := range append(tt.environ(dir), "AWS_REGION=eu-west-1", "AWS_CONFIG_FILE="+dir+"/.aws/config", "AWS_SHARED_CREDENTIALS_FILE="+dir+"/.aws/credentials") {
				name, value, _ := strings.Cut(e, "=")
				t.Setenv(name, value)
			}
			want := ""
			for _, s := range SDKs() {
				if s.Name == "Go" {
					want = tt.of(s)
				}
			}
			got := "broken"
			if cfg, err := config.LoadDefaultConfig(context.Background()); err == nil {
				got = goKind(cfg.Credentials)
			}
			want = kindOf(want)
			if strings.Contains(tt.env, "DISABLED") && want == "none" {
				want = "imds"
			}
			// A relative URI without a slash makes a wrong host only when asked.
			if got != want && tt.name != "relative without slash" {
				t.Errorf("the SDK takes %s, the table says %s", got, want)
			}
		})
		tried++
	}
	t.Logf("%d environments tried with the SDK for Go", tried)
}

func goKind(p aws.CredentialsProvider) string {
	for _, k := range []struct {
		provider aws.CredentialsProvider
		kind     string
	}{
		{&stscreds.WebIdentityRoleProvider{}, "web-identity"}, {&stscreds.AssumeRoleProvider{}, "profile:role"}, {&ssocreds.Provider{}, "profile:sso"},
		{&processcreds.Provider{}, "profile:process"}, {&endpointcreds.Provider{}, "container"}, {&ec2rolecreds.Provider{}, "imds"},
		{credentials.StaticCredentialsProvider{}, "keys"}, {&credentials.StaticCredentialsProvider{}, "keys"},
	} {
		if aws.IsCredentialsProvider(p, k.provider) {
			if k.kind == "keys" || k.kind == "web-identity" {
				return fromProfile(k.kind)
			}
			return k.kind
		}
	}
	return "unknown"
}

// fromProfile tells keys and web identity of a profile from those of the
// environment, by what the environment has.
func fromProfile(kind string) string {
	switch {
	case kind == "keys" && (os.Getenv(varKeyID) == "" || os.Getenv(varSecret) == ""):
		return "profile:keys"
	case kind == "web-identity" && os.Getenv(varIdentity) == "":
		return "profile:web-identity"
	}
	return kind
}

// try is one environment for a script that walks a real SDK's chain.
type try struct {
	Name string            `json:"name"`
	Env  map[string]string `json:"env"`
}

// walkReal gives the environments to a script, and returns what the SDK takes
// and what the table says it takes.
func walkReal(t *testing.T, sdk string, tries func(firstMatch) bool, env []string, argv ...string) (got, want map[string]string) {
	t.Helper()
	var list []try
	want = map[string]string{}
	for _, tt := range firstMatches() {
		if !tries(tt) {
			continue
		}
		one := try{tt.name, map[string]string{"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "PATH": os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE": "1"}}
		for _, e := range tt.environ(home(t, everyProfile, "")) {
			name, value, _ := strings.Cut(e, "=")
			one.Env[name] = value
		}
		list = append(list, one)
		for _, s := range SDKs() {
			if s.Is(sdk) {
				want[tt.name] = tt.of(s)
			}
		}
	}
	in, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(argv[0], argv[1:]...)
	c.Stdin, c.Env = strings.NewReader(string(in)), append(os.Environ(), env...)
	out, err := c.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			t.Logf("%s", ended.Stderr)
		}
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d environments tried", len(list))
	return got, want
}

// The Python rules are botocore's: it walks its own chain, with the requests
// for credentials replaced by a note of where they would have gone.
func TestPythonRulesAreBotocores(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if out, err := exec.Command(python, "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("botocore is not installed: %s", out)
	}
	tries := func(m firstMatch) bool { return !m.resolves() || strings.Contains(m.env, "CONTAINER") } // it looks no name up for a container's host
	got, want := walkReal(t, "python", tries, nil, python, "testdata/botocore_first.py")
	for name, w := range want {
		// What botocore goes on to ask in vain is broken as well.
		vain := name == "relative empty" && got[name] == "container "+relativeBase || name == "full by ftp"
		if strings.HasPrefix(w, "broken:") && (vain || strings.HasPrefix(got[name], "broken:")) {
			continue
		}
		if got[name] != w {
			t.Errorf("%s: botocore takes %q, the table says %q", name, got[name], w)
		}
	}
}

// What ends botocore in a file is what the doctor says ends it.
func TestStrictFilesAreBotocores(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if out, err := exec.Command(python, "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("botocore is not installed: %s", out)
	}
	dir := t.TempDir()
	argv := []string{"-c", `import sys, botocore.configloader as c
for path in sys.argv[1:]:
    try: c.load_config(path); print("ok")
    except Exception as e: print(type(e).__name__)`}
	var texts []string
	for text := range strictTexts() {
		path := filepath.Join(dir, fmt.Sprint(len(texts)))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		texts, argv = append(texts, text), append(argv, path)
	}
	out, err := exec.Command(python, argv...).Output()
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Fields(string(out))
	for i, text := range texts {
		if (said[i] == "ok") != strictTexts()[text] {
			t.Errorf("%q: botocore says %s", text, said[i])
		}
	}
}

// The JavaScript rules are those of the SDK that test/clients installs.
func TestJavaScriptRulesAreTheSDKs(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs("../../test/clients/js/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "@aws-sdk")); err != nil {
		t.Skip("the SDK for JavaScript is not installed: make setup")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	all := func(firstMatch) bool { return true } // it looks no name up either
	got, want := walkReal(t, "node", all, []string{"NODE_PATH=" + modules}, node, "testdata/js_first.cjs")
	for name, w := range want {
		g := got[name]
		switch {
		case w == "profile:role", w == "profile:web-identity", w == "web-identity":
			w = "sts" // both go there; a token file that is missing ends before
			if strings.HasPrefix(g, "broken:") && strings.Contains(g, "ENOENT") {
				continue
			}
		case w == "profile:sso" && strings.Contains(g, "SSO"), (w == "none" || strings.HasPrefix(w, "broken:")) && strings.HasPrefix(g, "broken:"):
			continue
		case strings.HasPrefix(name, "token file "), name == "relative without slash", name == "full by ftp":
			continue // sent, as far as the SDK itself goes: node or the server refuse it
		}
		w = strings.NewReplacer("[", "", "]", "").Replace(w) // the note of a host has no brackets
		if g != w {
			t.Errorf("%s: the SDK takes %q, the table says %q", name, g, w)
		}
	}
}
