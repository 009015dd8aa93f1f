package fakeaws_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"rolecall/internal/fakeaws"
)

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	status, body, _ := ask(t, "GET", url, header...)
	return status, body
}

func ask(t *testing.T, method, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t, 10*time.Second), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestInstanceMetadataWithTheSDK(t *testing.T) {
	s := start(t, fakeaws.Config{Region: "eu-north-1"})
	ctx := within(t, 10*time.Second)
	client := imds.New(imds.Options{Endpoint: s.URL(), EnableFallback: aws.FalseTernary})
	creds, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k, ok := s.Issued(creds.AccessKeyID)
	if !ok || k.RoleARN != "arn:aws:iam::123456789012:role/instance-role" || creds.SessionToken != k.SessionToken {
		t.Errorf("issued %v %s", ok, k.RoleARN)
	}
	region, err := client.GetRegion(ctx, nil)
	if err != nil || region.Region != "eu-north-1" {
		t.Errorf("region %v, %v", region, err)
	}
	if s.Calls("imds:token") != 1 || s.Calls("imds:list") != 1 || s.Calls("imds:credentials") != 1 || s.Calls("imds:identity-document") != 1 {
		t.Errorf("%v", s.Requests())
	}
	// After a restart of the service the old token gets 401 and the SDK fetches another.
	s.ForgetIMDSTokens()
	if _, err := client.GetRegion(ctx, nil); err != nil || s.Calls("imds:token") != 2 {
		t.Errorf("%v after %d tokens", err, s.Calls("imds:token"))
	}
}

func TestInstanceMetadataWire(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now})
	const ttl, token = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"
	api := s.URL() + "/latest/api/token"
	for _, tt := range []struct {
		method string
		header []string
		status int
	}{
		{"PUT", nil, 400},
		{"PUT", []string{ttl, "0"}, 400},
		{"PUT", []string{ttl, "21601"}, 400},
		{"PUT", []string{ttl, "x"}, 400},
		{"PUT", []string{ttl, "21600", "X-Forwarded-For", "10.0.0.1"}, 403},
		{"GET", []string{ttl, "21600"}, 405},
		{"PUT", []string{ttl, "21600"}, 200},
	} {
		if status, _, _ := ask(t, tt.method, api, tt.header...); status != tt.status {
			t.Errorf("%s %v: %d, want %d", tt.method, tt.header, status, tt.status)
		}
	}
	_, tok, header := ask(t, "PUT", api, ttl, "60")
	if header.Get(ttl) != "60" || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") || strings.TrimSpace(tok) != tok {
		t.Errorf("token %q with %v", tok, header)
	}
	roles := "/latest/meta-data/iam/security-credentials"
	for _, tt := range []struct {
		path   string
		status int
		body   string
	}{
		{roles, 200, "instance-role"},
		{roles + "/", 200, "instance-role"},
		{"/" + roles + "/", 200, "instance-role"}, // Java's double slash
		{roles + "/other", 404, ""},
		{"/latest/meta-data/iam/security-credentials-extended/", 404, ""},
		{"/latest/meta-data/placement/region", 200, "eu-west-1"},
		{"/latest/meta-data/placement/availability-zone/", 200, "eu-west-1a"},
		{"/latest/meta-data/nothing", 404, ""},
	} {
		if status, _ := get(t, s.URL()+tt.path); status != 401 {
			t.Errorf("%s without a token: %d", tt.path, status)
		}
		if status, _ := get(t, s.URL()+tt.path, token, "wrong"); status != 401 {
			t.Errorf("%s with a wrong token: %d", tt.path, status)
		}
		status, body := get(t, s.URL()+tt.path, token, tok)
		if status != tt.status || status == 200 && body != tt.body {
			t.Errorf("%s: %d %q", tt.path, status, body)
		}
	}
	if _, body := get(t, s.URL()+roles+"/instance-role", token, tok); !strings.Contains(body, `"Code":"Success"`) ||
		!strings.Contains(body, `"Type":"AWS-HMAC"`) || !strings.Contains(body, `"LastUpdated":"`) || !strings.Contains(body, `"AccessKeyId":"ASIA`) {
		t.Error("document lacks a field")
	}
	s.AddRole("arn:aws:iam::123456789012:role/instance-role", fakeaws.RoleConfig{Denied: true})
	status, body := get(t, s.URL()+roles+"/instance-role", token, tok)
	if status != 200 || !strings.Contains(body, `"Code":"AssumeRoleUnauthorizedAccess"`) || strings.Contains(body, "SecretAccessKey") {
		t.Errorf("denied: %d %s", status, body)
	}
	s.SetInstanceRole("")
	if status, _ := get(t, s.URL()+roles+"/", token, tok); status != 404 {
		t.Errorf("no role: %d", status)
	}
	clock.add(time.Minute)
	if status, _ := get(t, s.URL()+roles+"/", token, tok); status != 401 {
		t.Errorf("expired token: %d", status)
	}
}

func TestInstanceMetadataV1(t *testing.T) {
	s := start(t, fakeaws.Config{IMDSv1: true})
	url := s.URL() + "/latest/meta-data/iam/security-credentials/"
	for _, tt := range []struct {
		header []string
		status int
	}{
		{nil, 200},
		{[]string{"X-aws-ec2-metadata-token", "wrong"}, 401},
		{[]string{"X-Forwarded-For", "10.0.0.1"}, 403},
	} {
		if status, _ := get(t, url, tt.header...); status != tt.status {
			t.Errorf("%v: %d, want %d", tt.header, status, tt.status)
		}
	}
}

func TestContainerCredentials(t *testing.T) {
	s := start(t, fakeaws.Config{ContainerAuthorization: "open sesame"})
	ctx := within(t, 10*time.Second)
	fetch := func(auth string) (aws.Credentials, error) {
		return endpointcreds.New(s.ContainerURL("task"), func(o *endpointcreds.Options) {
			o.AuthorizationToken = auth
			o.Retryer = aws.NopRetryer{}
		}).Retrieve(ctx)
	}
	creds, err := fetch("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := s.Issued(creds.AccessKeyID); !ok || k.RoleARN != "arn:aws:iam::123456789012:role/task" || creds.AccountID != "123456789012" || !creds.CanExpire {
		t.Errorf("issued %v %s to account %s", ok, k.RoleARN, creds.AccountID)
	}
	_, err = fetch("wrong")
	wantCode(t, err, "Unauthorized")
	s.SetContainerAuthorization("")
	_, err = fetch("")
	wantCode(t, err, "")
	if status, _, _ := ask(t, "POST", s.ContainerURL("task")); status != 405 {
		t.Errorf("POST: %d", status)
	}
	if status, _ := get(t, s.ContainerURL("")); status != 404 {
		t.Errorf("no name: %d", status)
	}
}
