package doctor

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
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
	type try struct {
		Name string            `json:"name"`
		Env  map[string]string `json:"env"`
	}
	var tries []try
	want := map[string]string{}
	for _, tt := range firstMatches() {
		if tt.resolves() && !strings.Contains(tt.env, "CONTAINER") {
			continue // botocore looks no name up for a container's host
		}
		env := map[string]string{"AWS_DEFAULT_REGION": "eu-west-1", "PYTHONDONTWRITEBYTECODE": "1"}
		for _, e := range tt.environ(home(t, everyProfile, "")) {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		tries = append(tries, try{tt.name, env})
		for _, s := range SDKs() {
			if s.Is("python") {
				want[tt.name] = tt.of(s)
			}
		}
	}
	in, err := json.Marshal(tries)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(python, "testdata/botocore_first.py")
	c.Stdin = strings.NewReader(string(in))
	c.Stderr = os.Stderr
	c.Dir = "."
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, w := range want {
		g := got[name]
		// What botocore goes on to ask in vain is broken as well.
		vain := name == "relative empty" && g == "container "+relativeBase || name == "full by ftp"
		if strings.HasPrefix(w, "broken:") && (vain || strings.HasPrefix(g, "broken:")) {
			continue
		}
		if g != w {
			t.Errorf("%s: botocore takes %q, the table says %q", name, g, w)
		}
	}
	t.Logf("%d environments tried with botocore", len(want))
}
