package roles

import (
	"strings"
	"testing"
)

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	const good = `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`
	tests := []struct {
		text string
		kind PolicyKind
		want string // of the error; "" for none
	}{
		{good, PermissionPolicy, ""},
		{good, TrustPolicy, "statement 1: a trust policy names a principal"},
		{"{\n \"Version\": \"2012-10-17\",\n \"Statement\": [}\n", PermissionPolicy, "p.json:3:16: this is not a policy"},
		{"{\n \"Statement\": [\n", PermissionPolicy, "p.json:2:16: this is not a policy: unexpected end"},
		{"", PermissionPolicy, "p.json:1:1: this is not a policy: unexpected end"},
		{"[]", PermissionPolicy, "a policy is an object"},
		{"{\n\"Statment\": []}", PermissionPolicy, `p.json:2:10: this is not a policy: unknown field "Statment"`},
		{"{\"Statement\": [\n{\"Effect\": \"Allow\", \"Action\": \"a\", \"Resource\": \"*\"},\n{\"Efect\": \"Allow\"}]}", PermissionPolicy, `p.json:3:8: this is not a policy: statement 2: unknown field "Efect"`},
		{"{\"Statement\": [\n{\"Effect\": \"Allow\",\n\"Action\": {\"a\": 1}}]}", PermissionPolicy, `p.json:3:8: this is not a policy: statement 1: a text or a list`},
		{"{\"Statement\": [\n{\"Effect\": \"allow\"}]}", PermissionPolicy, `p.json:2:9: statement 1: its effect is neither`},
		{`{"statement": []}`, PermissionPolicy, `unknown field "statement"`}, // IAM distinguishes case
		{`{"Statement": {"effect": "Allow"}}`, PermissionPolicy, `unknown field "effect"`},
		{`{"Statement": [7]}`, PermissionPolicy, "statement 1: a statement is an object"},
		{`{"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "*", "Condition": ["x"]}]}`, PermissionPolicy, "conditions are objects"},
		{good + "x", PermissionPolicy, "this is not a policy"},
		{good + good, PermissionPolicy, "after top-level value"},
		{`{"Version": "2026-01-01", "Statement": []}`, PermissionPolicy, `version "2026-01-01"`},
		{`{"Version": "2012-10-17"}`, PermissionPolicy, "there is no statement"},
		{`{"Statement": [{"Effect": "allow", "Action": "a", "Resource": "*"}]}`, PermissionPolicy, "neither Allow nor Deny"},
		{`{"Statement": [{"Effect": "Allow", "Resource": "*"}]}`, PermissionPolicy, "it has no action"},
		{`{"Statement": [{"Effect": "Allow", "Action": "a"}]}`, PermissionPolicy, "it has no resource"},
		{`{"Statement": [{"Effect": "Allow", "Action": {"a": 1}, "Resource": "*"}]}`, PermissionPolicy, "a text or a list of texts"},
		{`{"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "*", "Principal": "*"}]}`, PermissionPolicy, "names no principal"},
		{`{"Statement": [{"Effect": "Allow", "Action": "a", "Resource": "*", "Principal": "*"}]}`, TrustPolicy, "no resource"},
		{`{"Statement": [{"Effect": "Allow", "Action": "a", "Principal": 7}]}`, TrustPolicy, "a principal is"},
		{`{"Statement": [{"Effect": "Allow", "Action": "` + strings.Repeat("a", 11000) + `", "Resource": "*"}]}`, PermissionPolicy, "and IAM takes 10240"},
	}
	for _, tt := range tests {
		got, err := ParsePolicy("p.json", []byte(tt.text), tt.kind)
		if tt.want == "" {
			if with, err := ParsePolicy("p.json", []byte("\ufeff"+tt.text), tt.kind); err != nil || with != got {
				t.Errorf("with a byte order mark: %s, %v", with, err)
			}
			if err != nil || !samePolicy(got, tt.text) {
				t.Errorf("%s: %s, %v", tt.text, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.80q: %v, want …%s…", tt.text, err, tt.want)
		}
	}
}

func TestSamePolicy(t *testing.T) {
	t.Parallel()
	const a = `{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":"Allow","Principal":{"Service":["b","a"]},"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"k":"v"}}},{"Effect":"Deny","Principal":"*","Action":"*"}]}`
	for b, want := range map[string]bool{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":["*"]},{"Effect":"Allow","Action":"sts:AssumeRole","Condition":{"StringEquals":{"k":["v"]}},"Principal":{"Service":["a","b"]}}]}`: true,
		strings.Replace(a, `"v"`, `"w"`, 1):         false,
		strings.Replace(a, `"Deny"`, `"Allow"`, 1):  false,
		strings.Replace(a, `2012-10`, `2008-10`, 1): false,
		"": false,
	} {
		if got := samePolicy(a, b); got != want {
			t.Errorf("%s: %t", b, got)
		}
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"app": "/ app", "team/app": "/team/ app", "/team/a/app": "/team/a/ app", "arn:aws-cn:iam::123456789012:role/team/app": "/team/ app", "a+=,.@_-1": "/ a+=,.@_-1",
		"": "", "/": "", "team/": "", "a b": "", "ä": "", "a//b": "", "arn:aws:iam::1:user/x": "", "arn:aws:s3:::b": "", strings.Repeat("a", 65): "", "a:b": "",
	} {
		n, err := ParseName(text)
		got := ""
		if err == nil {
			got = n.Path + " " + n.Name
		}
		if got != want {
			t.Errorf("%q is %q, want %q (%v)", text, got, want, err)
		}
	}
	for text, want := range map[string]string{"prod/web": "prod/web", "web": "default/web", "arn:aws:ecs:eu-west-1:1:service/prod/web": "prod/web", "": "", "a/b/c": "", "/b": ""} {
		n, err := ParseServiceName(text)
		if (err == nil) != (want != "") || err == nil && n.String() != want {
			t.Errorf("%q is %q, %v", text, n, err)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}`)
	f.Add(`{"Statement": [{"Effect": "Deny", "Principal": {"AWS": ["*"]}, "NotAction": ["a"], "Condition": {"Bool": {"a": true, "b": [1, "x"]}}}]}`)
	f.Add("{\n\"Statement\": [")
	f.Add(`{"Id": {}, "Statement": [null, {}, {"Action": null}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []PolicyKind{PermissionPolicy, TrustPolicy} {
			got, err := ParsePolicy("p", []byte(text), kind)
			if err != nil {
				if got != "" || strings.ContainsAny(err.Error(), "\n\x00") {
					t.Errorf("%q with %q", got, err)
				}
				continue
			}
			again, err := ParsePolicy("p", []byte(got), kind)
			if err != nil || again != got || !samePolicy(text, got) {
				t.Errorf("%q became %q and then %q, %v", text, got, again, err)
			}
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"app", "team/app", "arn:aws:iam::123456789012:role/team/app", "//", "a/b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err != nil {
			return
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q is %+v, and then %+v, %v", text, n, again, err)
		}
		if got := nameOfARN((&Account{ID: "123456789012", Partition: "aws"}).roleARN(n)); got != n {
			t.Errorf("%+v in an ARN is %+v", n, got)
		}
	})
}
