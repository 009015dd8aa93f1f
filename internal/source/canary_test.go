package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

const canary = "CANARY7f3a"

// printed is every way an error or value may get into a log.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q\n", v, v, v, v, v)
	if js, err := json.Marshal(v); err == nil {
		out.Write(js)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Error("x", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "v", v)
	if err, ok := v.(error); ok {
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&out, "%v %+v %#v\n", e, e, e)
		}
		e := usererr.From(err)
		fmt.Fprintf(&out, "%+v %s\n", *e, e.Hint)
	}
	return out.String()
}

// TestCanaryProcess plants a secret in the answer of a credential_process in
// every malformed way, and looks for it in the error.
func TestCanaryProcess(t *testing.T) {
	answers := []string{
		canary,
		`{"Version":1,"AccessKeyId":"` + canary + `","SecretAccessKey":"` + canary,
		`{"Version":2,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `"}`,
		`{"Version":"` + canary + `","AccessKeyId":"AKIAFAKE","SecretAccessKey":"s"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretKey":"` + canary + `"}`,
		`{"Version":1,"AccessKeyId":{"x":"` + canary + `"},"SecretAccessKey":"` + canary + `"}`,
		`{"Version":1,"AccessKeyId":"","SecretAccessKey":"` + canary + `","SessionToken":"` + canary + `"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `","Expiration":"` + canary + `"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `","SessionToken":"` + canary + `","Expiration":"2020-01-01T00:00:00Z"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `\u0000"}`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + strings.Repeat(canary, 200) + `"}`,
		`[{"SecretAccessKey":"` + canary + `"}]`,
		`{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `"} trailing`,
		`exit {"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"` + canary + `"}`,
		"exit " + canary,
		`{"Version":1e400,"SecretAccessKey":"` + canary + `"}`,
		strings.Repeat(canary, 20_000),
	}
	for i, answer := range answers {
		g := processRig(t, answer, canary)
		_, err := g.retrieve("p")
		if err == nil {
			t.Errorf("answer %d was taken", i)
			continue
		}
		if text := printed(t, err); strings.Contains(text, "CANARY") {
			t.Errorf("answer %d is in the error: %s", i, text)
		}
	}
}

// TestCanaryUpstream has every secret of ours come back from an upstream that
// is hostile, in messages and in bodies, and looks for them in errors.
func TestCanaryUpstream(t *testing.T) {
	faults := []fakeaws.Fault{
		{Status: 403, Code: "AccessDenied"}, {Status: 500, Code: "InternalFailure"}, {Status: 400, Code: "ExpiredToken"}, {Status: 401}, {Status: 429},
		{Body: []byte("x")}, {Status: 403, Body: []byte("x")}, {Truncate: true}, {EmptyKeys: true}, {Expired: true}, {Reset: true}, {Redirect: "http://127.0.0.1:1/" + canary},
	}
	for i, fault := range faults {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			canaryFault(t, fault)
		})
	}
}

func canaryFault(t *testing.T, fault fakeaws.Fault) {
	for _, text := range []string{"dev", "sso-dev", "imds", "container", "web"} {
		g := newRig(t, fakeaws.Config{Canary: "CANARY"})
		token := g.write("token", canary)
		g.add("[profile web]\nrole_arn=%s\nweb_identity_token_file=%s\n", fakeaws.RoleDev, token)
		g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.fake.ContainerURL("task")
		g.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = canary
		signIn(g, time.Now().Add(-time.Minute), nil)
		_, secret := g.fake.BaseUser()
		fault.Match, fault.Message = "*", "you sent "+secret
		if text == "web" { // the short secret of that call
			fault.Message += " and " + canary
		}
		if fault.Body != nil {
			fault.Body = []byte(secret + canary)
		}
		g.fake.Script(fault)
		_, err := g.retrieve(text)
		if err == nil {
			t.Errorf("%s worked", text)
			continue
		}
		if out := printed(t, err); strings.Contains(out, "CANARY") || strings.Contains(out, secret) {
			t.Errorf("%s: a secret is in the error: %s", text, out)
		}
	}
}

func TestSourcesPrintNoSecret(t *testing.T) {
	g := newRig(t, fakeaws.Config{Canary: "CANARY"})
	g.env["AWS_ACCESS_KEY_ID"], g.env["AWS_SECRET_ACCESS_KEY"], g.env["AWS_SESSION_TOKEN"] = "AKIAFAKE", canary, canary
	g.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = g.fake.URL() + "/container/x?token=" + canary
	g.add("[profile p]\ncredential_process = %s\n[profile ext]\nrole_arn=%s\nsource_profile=base\nexternal_id=%s\n", quotedProcess(canary), fakeaws.RoleDev, canary)
	for _, text := range []string{"base", "dev", "sso-dev", "env", "container", "imds", "p", "ext", "fake"} {
		s, err := g.r.Resolve(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if out := printed(t, s) + s.Key; strings.Contains(out, "CANARY") {
			t.Errorf("%s: the source prints a secret: %s", text, out)
		}
		if text == "p" {
			continue
		}
		if c, err := s.Provider.Retrieve(context.Background()); err == nil && strings.Contains(printed(t, c), "CANARY") {
			t.Errorf("%s: credentials print a secret", text)
		}
	}
}
