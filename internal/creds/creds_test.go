package creds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func sample() Credentials {
	return Credentials{AccessKeyID: "ASIACANARYCANARYWXYZ", SecretAccessKey: NewSecret("CANARYsecret"), SessionToken: NewSecret("CANARYtoken"),
		Expires: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), AccountID: "123456789012", Source: "profile:dev"}
}

func TestNothingPrintsASecret(t *testing.T) {
	c := sample()
	hidden := struct {
		c Credentials
		s Secret
		p *Credentials
		m map[string]Secret
		a []any
	}{c, c.SecretAccessKey, &c, map[string]Secret{"x": c.SessionToken}, []any{c, c.SecretAccessKey}}
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, v := range []any{c, &c, c.SecretAccessKey, hidden, &hidden, []Credentials{c}, map[string]Credentials{"k": c}} {
			out = append(out, fmt.Sprintf(verb, v))
		}
	}
	for _, v := range []any{c, &c, c.SecretAccessKey, []Credentials{c}, map[Credentials]int{}, struct{ C Credentials }{c}} {
		b, err := json.Marshal(v)
		out = append(out, string(b), fmt.Sprint(err))
	}
	for _, h := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(h(&b)).Info("x", "c", c, "p", &c, "s", c.SecretAccessKey, "all", []Credentials{c}, "hidden", hidden)
		out = append(out, b.String())
	}
	out = append(out, fmt.Sprint(errors.Join(fmt.Errorf("with %v", c))))
	for _, s := range out {
		if strings.Contains(s, "CANARYs") || strings.Contains(s, "CANARYt") {
			t.Errorf("a secret in %s", s)
		}
	}
	if c.SecretAccessKey.Reveal() != "CANARYsecret" || c.MaskedKeyID() != "…WXYZ" || NewSecret("") != (Secret{}) {
		t.Error("the secret is gone altogether")
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Credentials)
		want   string
	}{
		"good":            {func(*Credentials) {}, ""},
		"no key id":       {func(c *Credentials) { c.AccessKeyID = "" }, "AccessKeyId is missing"},
		"no secret":       {func(c *Credentials) { c.SecretAccessKey = Secret{} }, "SecretAccessKey is missing"},
		"no token":        {func(c *Credentials) { c.SessionToken = Secret{} }, "Token is missing"},
		"static":          {func(c *Credentials) { c.SessionToken, c.Expires = Secret{}, time.Time{} }, ""},
		"newline":         {func(c *Credentials) { c.SessionToken = NewSecret("a\nb") }, "Token has control characters"},
		"huge":            {func(c *Credentials) { c.SessionToken = NewSecret(strings.Repeat("x", maxTokenLen+1)) }, "longer than"},
		"account newline": {func(c *Credentials) { c.AccountID = "1\r2" }, "AccountId has control"},
	} {
		t.Run(name, func(t *testing.T) {
			v := sample()
			c.change(&v)
			err := v.Check()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("a secret in %v", err)
			}
		})
	}
}

func TestARNs(t *testing.T) {
	for arn, want := range map[string][2]string{
		"arn:aws:iam::123456789012:role/dev":                 {"dev", "123456789012"},
		"arn:aws-cn:iam::123456789012:role/a/b/dev":          {"dev", "123456789012"},
		"arn:aws:sts::123456789012:assumed-role/dev/session": {"dev", "123456789012"},
		"arn:aws:iam::123456789012:user/bob":                 {"", "123456789012"},
		"arn:aws:iam::12345:role/dev":                        {"dev", ""},
		"role/dev":                                           {"", ""}, "": {"", ""}, "arn:::::": {"", ""}, "arn:aws:iam::123456789012:role/": {"", "123456789012"},
	} {
		if got := [2]string{RoleNameFromARN(arn), AccountFromARN(arn)}; got != want {
			t.Errorf("%q: %q, want %q", arn, got, want)
		}
	}
}

func TestSameIdentity(t *testing.T) {
	a, b := sample(), sample()
	b.AccountID, b.RoleARN = "", "arn:aws:iam::1:role/x"
	if !a.SameIdentity(b) || !b.SameIdentity(a) {
		t.Error("what one side does not tell is no difference")
	}
	a.RoleARN = "arn:aws:iam::1:role/y"
	if a.SameIdentity(b) {
		t.Error("two roles are the same")
	}
}

func TestLifetime(t *testing.T) {
	c := sample()
	now := c.Expires.Add(-time.Hour)
	if c.Remaining(now) != time.Hour || c.Lifetime(now) != time.Hour {
		t.Error(c.Remaining(now), c.Lifetime(now))
	}
	c.ObservedAt = c.Expires.Add(-2 * time.Hour) // the local clock is an hour ahead
	if c.Lifetime(now) != 2*time.Hour {
		t.Error(c.Lifetime(now))
	}
}
