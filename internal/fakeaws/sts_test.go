package fakeaws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/fakeaws"
)

func TestAssumeRole(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 10*time.Second)
	out, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	if !strings.HasPrefix(*c.AccessKeyId, "ASIA") || len(*c.AccessKeyId) != 20 || len(*c.SecretAccessKey) != 40 || len(*c.SessionToken) < 250 {
		t.Errorf("shape of the keys: id %d, secret %d, token %d characters", len(*c.AccessKeyId), len(*c.SecretAccessKey), len(*c.SessionToken))
	}
	if left := time.Until(*c.Expiration); left < 59*time.Minute || left > time.Hour {
		t.Errorf("lives for %v, want 1 h", left)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::111122223333:assumed-role/x/me@here" {
		t.Errorf("assumed %s", *out.AssumedRoleUser.Arn)
	}
	k, ok := s.Issued(*c.AccessKeyId)
	if !ok || k.RoleARN != roleX || k.Account != "111122223333" || k.SessionToken != *c.SessionToken {
		t.Errorf("Issued = %v, %v", k.RoleARN, ok)
	}
	me, err := stsWith(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken).GetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *me.Arn != *out.AssumedRoleUser.Arn || *me.UserId != *out.AssumedRoleUser.AssumedRoleId || *me.Account != "111122223333" {
		t.Errorf("identity %s %s %s", *me.Arn, *me.UserId, *me.Account)
	}
	base, _ := s.BaseUser()
	want := []fakeaws.Request{
		{Op: "sts:AssumeRole", Method: "POST", Path: "/", AccessKeyID: base, RoleARN: roleX, Status: 200, IssuedKeyID: *c.AccessKeyId, Expires: *c.Expiration},
		{Op: "sts:GetCallerIdentity", Method: "POST", Path: "/", AccessKeyID: *c.AccessKeyId, Status: 200},
	}
	got := s.Requests()
	for i := range got {
		got[i].Time, got[i].Took = time.Time{}, 0
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("log %+v", got)
	}
}

func TestAssumeRoleRules(t *testing.T) {
	s := start(t, fakeaws.Config{MFACode: "123456"})
	const denied, outside, mfa, short, trusted = "arn:aws:iam::111122223333:role/denied", "arn:aws:iam::111122223333:role/outside",
		"arn:aws:iam::111122223333:role/mfa", "arn:aws:iam::111122223333:role/short", "arn:aws:iam::111122223333:role/trusted"
	s.AddRole(denied, fakeaws.RoleConfig{Denied: true})
	s.AddRole(outside, fakeaws.RoleConfig{ExternalID: "ticket"})
	s.AddRole(mfa, fakeaws.RoleConfig{MFA: true, MFASerial: "arn:aws:iam::123456789012:mfa/me"})
	s.AddRole(short, fakeaws.RoleConfig{MaxSession: 30 * time.Minute})
	s.AddRole(trusted, fakeaws.RoleConfig{TrustedARNs: []string{"arn:aws:iam::123456789012:user/other"}})
	s.AddUser("AKIAOTHER", "x", "", "other")
	tests := []struct {
		name string
		role string
		key  string
		more func(*sts.AssumeRoleInput)
		code string
	}{
		{name: "any role", role: roleX},
		{name: "denied", role: denied, code: "AccessDenied"},
		{name: "not an arn", role: "arn:aws:iam::1:role/thing-too-short", code: "ValidationError"},
		{name: "external id missing", role: outside, code: "AccessDenied"},
		{name: "external id", role: outside, more: func(in *sts.AssumeRoleInput) { in.ExternalId = str("ticket") }},
		{name: "external id wrong", role: outside, more: func(in *sts.AssumeRoleInput) { in.ExternalId = str("no") }, code: "AccessDenied"},
		{name: "mfa missing", role: mfa, code: "AccessDenied"},
		{name: "mfa", role: mfa, more: func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = str("arn:aws:iam::123456789012:mfa/me"), str("123456")
		}},
		{name: "mfa wrong code", role: mfa, more: func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = str("arn:aws:iam::123456789012:mfa/me"), str("654321")
		}, code: "AccessDenied"},
		{name: "mfa wrong device", role: mfa, more: func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = str("arn:aws:iam::123456789012:mfa/you"), str("123456")
		}, code: "AccessDenied"},
		{name: "mfa no code", role: roleX, more: func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = str("arn:aws:iam::123456789012:mfa/me"), str("abcdef")
		}, code: "ValidationError"},
		{name: "too short", role: roleX, more: seconds(899), code: "ValidationError"},
		{name: "shortest", role: roleX, more: seconds(900)},
		{name: "longest", role: roleX, more: seconds(43200)},
		{name: "too long", role: roleX, more: seconds(43201), code: "ValidationError"},
		{name: "longer than the role allows", role: short, more: seconds(1801), code: "ValidationError"},
		{name: "session name", role: roleX, more: func(in *sts.AssumeRoleInput) { in.RoleSessionName = str("a b") }, code: "ValidationError"},
		{name: "not trusted", role: trusted, code: "AccessDenied"},
		{name: "trusted", role: trusted, key: "AKIAOTHER"},
		{name: "unknown key", role: roleX, key: "AKIAUNKNOWN", code: "InvalidClientTokenId"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := baseSTS(s)
			if tt.key != "" {
				client = stsWith(s, tt.key, "x", "")
			}
			in := assume(tt.role)
			if tt.more != nil {
				tt.more(in)
			}
			out, err := client.AssumeRole(within(t, 10*time.Second), in)
			wantCode(t, err, tt.code)
			if err == nil && in.DurationSeconds != nil {
				want := time.Duration(*in.DurationSeconds) * time.Second
				if left := time.Until(*out.Credentials.Expiration); left > want || left < want-10*time.Second {
					t.Errorf("lives for %v, want %v", left, want)
				}
			}
		})
	}
}

func seconds(n int32) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) { in.DurationSeconds = &n }
}

func TestRoleChaining(t *testing.T) {
	s := start(t, fakeaws.Config{})
	ctx := within(t, 10*time.Second)
	first, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
	if err != nil {
		t.Fatal(err)
	}
	c := first.Credentials
	chained := stsWith(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	hour, more := int32(3600), int32(3601)
	_, err = chained.AssumeRole(ctx, assumeFor(fakeaws.RoleChained, &hour))
	wantCode(t, err, "")
	_, err = chained.AssumeRole(ctx, assumeFor(fakeaws.RoleChained, &more))
	wantCode(t, err, "ValidationError")
	if err == nil || !strings.Contains(err.Error(), "exceeds the 1 hour session limit for roles assumed by role chaining") {
		t.Errorf("error %v", err)
	}
	_, err = chained.GetSessionToken(ctx, nil)
	wantCode(t, err, "AccessDenied")

	// A user's session is no role: no chaining, and its MFA counts.
	s.AddRole(fakeaws.RoleProd, fakeaws.RoleConfig{MFA: true})
	session, err := baseSTS(s).GetSessionToken(ctx, &sts.GetSessionTokenInput{SerialNumber: str("arn:aws:iam::123456789012:mfa/me"), TokenCode: str("000000")})
	if err != nil {
		t.Fatal(err)
	}
	c = session.Credentials
	_, err = stsWith(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken).AssumeRole(ctx, assumeFor(fakeaws.RoleProd, &more))
	wantCode(t, err, "")
}

func TestWebIdentity(t *testing.T) {
	s := start(t, fakeaws.Config{})
	s.AddRole(fakeaws.RoleDev, fakeaws.RoleConfig{WebIdentityToken: "right-token"})
	for _, tt := range []struct{ role, token, code string }{
		{roleX, "any-token", ""},
		{roleX, "", "ValidationError"},
		{fakeaws.RoleDev, "right-token", ""},
		{fakeaws.RoleDev, "wrong-token", "InvalidIdentityToken"},
	} {
		out, err := stsWith(s, "", "", "").AssumeRoleWithWebIdentity(within(t, 10*time.Second), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &tt.role, RoleSessionName: str("pod"), WebIdentityToken: &tt.token})
		wantCode(t, err, tt.code)
		if err == nil && len(*out.Credentials.SessionToken) < 250 {
			t.Error("no token")
		}
	}
}

func TestCallerIdentity(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now, Lifetime: time.Minute})
	ctx := within(t, 10*time.Second)
	s.AddUser("AKIAEXAMPLE", "secret", "999999999999", "ann")
	me, err := stsWith(s, "AKIAEXAMPLE", "secret", "").GetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *me.Arn != "arn:aws:iam::999999999999:user/ann" {
		t.Errorf("I am %s", *me.Arn)
	}
	out, err := baseSTS(s).AssumeRole(ctx, assume(roleX))
	if err != nil {
		t.Fatal(err)
	}
	id, secret, token := *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	_, err = stsWith(s, id, secret, "").GetCallerIdentity(ctx, nil)
	wantCode(t, err, "InvalidClientTokenId")
	_, err = stsWith(s, id, secret, token+"x").GetCallerIdentity(ctx, nil)
	wantCode(t, err, "InvalidClientTokenId")
	clock.add(59 * time.Second)
	_, err = stsWith(s, id, secret, token).GetCallerIdentity(ctx, nil)
	wantCode(t, err, "")
	clock.add(time.Second)
	_, err = stsWith(s, id, secret, token).GetCallerIdentity(ctx, nil)
	wantCode(t, err, "ExpiredToken")
	if n := s.Calls("sts:*"); n != 6 {
		t.Errorf("%d calls, want 6", n)
	}
	presigned, err := sts.NewPresignClient(stsWith(s, "AKIAEXAMPLE", "secret", "")).PresignGetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, presigned.URL); status != 200 || !strings.Contains(body, "user/ann") {
		t.Errorf("presigned: %d %s", status, body)
	}
	if status, _ := get(t, s.URL()+"/?Action=GetCallerIdentity"); status != 403 {
		t.Errorf("unsigned: %d", status)
	}
	if status, _ := get(t, s.URL()+"/?Action=ListUsers"); status != 400 {
		t.Errorf("unknown action: %d", status)
	}
}
