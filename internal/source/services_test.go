package source

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestEndpoint(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	config := `[default]
endpoint_url = https://default.example
[profile a]
use_fips_endpoint = true
[profile b]
services = local
[profile c]
role_arn = arn:aws:iam::111111111111:role/x
source_profile = b
[services local]
ecs =
  endpoint_url = http://127.0.0.1:1234/
`
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".aws", "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text, service string
		env           map[string]string
		want          service // the rest of it does not matter
		fails         bool
	}{
		{text: "default", service: "iam", want: service{endpoint: "https://default.example"}},
		{text: "default", service: "iam", env: map[string]string{"AWS_PROFILE": "a"}, want: service{fips: true}},
		{text: "a", service: "ec2", env: map[string]string{"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1"}, want: service{endpoint: "http://127.0.0.1:1"}},
		{text: "b", service: "ecs", want: service{endpoint: "http://127.0.0.1:1234"}},
		{text: "b", service: "ec2", want: service{}},
		{text: "role:arn:aws:iam::111111111111:role/y@b", service: "ecs", want: service{endpoint: "http://127.0.0.1:1234"}},
		{text: "imds", service: "ecs", env: map[string]string{"AWS_ENDPOINT_URL": "http://localhost:9"}, want: service{endpoint: "http://localhost:9"}},
		{text: "imds", service: "ecs", env: map[string]string{"AWS_ENDPOINT_URL": "http://elsewhere.example"}, fails: true},
		{text: "profile:", service: "ecs", fails: true},
	}
	for _, tt := range tests {
		r := New(Config{Home: home, Getenv: func(name string) string { return tt.env[name] }})
		got, err := r.Endpoint(tt.text, tt.service, "")
		if (err != nil) != tt.fails || !tt.fails && (aws.ToString(got.Base) != tt.want.endpoint || got.FIPS != tt.want.fipsState() || got.DualStack != tt.want.dualStackState()) {
			t.Errorf("%s of %s: %+v, %v", tt.service, tt.text, got, err)
		}
	}
}

func TestHTTPClient(t *testing.T) {
	t.Parallel()
	if c, err := New(Config{Home: t.TempDir()}).HTTPClient(); err != nil || c.CheckRedirect == nil {
		t.Errorf("%v, %v", c, err)
	}
	bad := New(Config{Home: t.TempDir(), Getenv: func(name string) string {
		return map[string]string{"AWS_CA_BUNDLE": "/nosuch/bundle.pem"}[name]
	}})
	if _, err := bad.HTTPClient(); err == nil {
		t.Error("no error for a bundle that is not there")
	}
}
