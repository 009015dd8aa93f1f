package roles

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// service is a metadata service or a credentials endpoint that answers by path.
func service(t *testing.T, answers map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.URL.Path]
		switch {
		case r.Method == http.MethodPut && answers["token"] != "":
			a = answers["token"]
		case r.Method == http.MethodPut:
			a = "T"
		case strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("X-aws-ec2-metadata-token") != "T":
			a = "401"
		case answers["authorization"] != "" && r.Header.Get("Authorization") != answers["authorization"]:
			a = "401"
		case !ok:
			a = "404"
		}
		if status, ok := map[string]int{"401": 401, "403": 403, "404": 404, "500": 500}[a]; ok {
			w.WriteHeader(status)
			return
		}
		_, _ = w.Write([]byte(a))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func here(env map[string]string) Here {
	return Here{Getenv: func(name string) string { return env[name] }, Timeout: 300 * time.Millisecond}
}

// What the metadata service of this instance may say.
func TestHereOnAnInstance(t *testing.T) {
	t.Parallel()
	const list, creds, id = "/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials/app", "/latest/meta-data/instance-id"
	const check = "metadata service here"
	for _, tt := range []struct {
		answers              map[string]string
		status, detail, mend string
	}{
		{map[string]string{list: "app\n", creds: `{"Code": "Success", "AccessKeyId": "ASIAX", "SecretAccessKey": "SECRET", "Expiration": "2026-11-21T10:00:00Z"}`}, checkOK, "it hands out app, until 2026-11-21T10:00:00Z", ""},
		{map[string]string{list: "other", id: idA}, checkFailed, "it hands out the role other", "rolecall role verify app --instance " + idA},
		{map[string]string{id: idA}, checkFailed, "it knows no role of this instance (404)", "rolecall role attach app --instance " + idA},
		{map[string]string{"token": "403"}, checkFailed, "it is switched off", "--metadata-tokens required"},
		{map[string]string{list: "500"}, checkFailed, "status 500", "rolecall doctor"},
		{map[string]string{list: "app"}, checkFailed, "it names the role, and gives no credentials: status 404", "try again"},
		{map[string]string{list: "app", creds: "<html>"}, checkFailed, "is not the JSON of credentials", ""},
		{map[string]string{list: "app", creds: `{"Code": "AssumeRoleUnauthorizedAccess"}`}, checkFailed, "EC2 may not assume the role", "rolecall role create app --for ec2"},
		{map[string]string{list: "app", creds: `{"Code": "Failed"}`}, checkFailed, "has no credentials yet (Failed)", "wait a minute"},
	} {
		h := here(map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": service(t, tt.answers)})
		got := h.InstanceChecks(t.Context(), name(t, "team/app"))
		wantCheck(t, got, check, tt.status, tt.detail, tt.mend)
		if len(got) != 1 || strings.Contains(got[0].Detail+got[0].Fix, "SECRET") {
			t.Errorf("%+v", got)
		}
		if want := tt.answers[id]; h.InstanceID(t.Context()) != want {
			t.Errorf("the instance is %q, want %q", h.InstanceID(t.Context()), want)
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	wantCheck(t, here(map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": gone.URL}).InstanceChecks(t.Context(), name(t, "app")), check, checkFailed, "it does not answer from here: dial failed", "--metadata-hop-limit 2")
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	wantCheck(t, here(map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": silent.URL}).InstanceChecks(t.Context(), name(t, "app")), check, checkFailed, "no answer in time", "--metadata-hop-limit 2")
	wantCheck(t, here(map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}).InstanceChecks(t.Context(), name(t, "app")), check, checkSkipped, "AWS_EC2_METADATA_DISABLED is set", "")
}

// What the credentials endpoint of this task may say.
func TestHereInATask(t *testing.T) {
	t.Parallel()
	const check = "credentials here"
	const good = `{"AccessKeyId": "ASIAX", "SecretAccessKey": "SECRET", "RoleArn": "arn:aws:iam::123456789012:role/team/app", "Expiration": "2026-11-21T10:00:00Z"}`
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("TOKEN\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	uri := "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	for _, tt := range []struct {
		answers, env   map[string]string
		status, detail string
	}{
		{map[string]string{"/x": good}, nil, checkOK, "hands out arn:aws:iam::123456789012:role/team/app, until 2026-11-21T10:00:00Z"},
		{map[string]string{"/x": `{"AccessKeyId": "ASIAX"}`}, nil, checkOK, "hands out credentials"},
		{map[string]string{"/x": strings.Replace(good, "team/app", "other", 1)}, nil, checkFailed, "hands out the role arn:aws:iam::123456789012:role/other"},
		{map[string]string{"/x": `{}`}, nil, checkFailed, "answered without credentials"},
		{map[string]string{"/x": `<html>`}, nil, checkFailed, "answered with status 200"},
		{map[string]string{"/x": "500"}, nil, checkFailed, "answered with status 500"},
		{map[string]string{"/x": good, "authorization": "TOKEN"}, nil, checkFailed, "answered with status 401"},
		{map[string]string{"/x": good, "authorization": "TOKEN"}, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "TOKEN"}, checkOK, "hands out"},
		{map[string]string{"/x": good, "authorization": "TOKEN"}, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "old", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file}, checkOK, "hands out"},
		{nil, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file + "x"}, checkFailed, "cannot be read"},
		{nil, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\nb"}, checkFailed, "more than one line"},
		{nil, map[string]string{uri: ""}, checkFailed, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set in this process"},
	} {
		env := map[string]string{uri: service(t, tt.answers) + "/x"}
		for key, value := range tt.env {
			env[key] = value
		}
		got := here(env).TaskChecks(t.Context(), name(t, "team/app"))
		wantCheck(t, got, check, tt.status, tt.detail, "")
		if strings.Contains(got[0].Detail+got[0].Fix, "SECRET") || strings.Contains(got[0].Detail, "TOKEN\n") {
			t.Errorf("%+v", got)
		}
	}
}

func TestInThisTask(t *testing.T) {
	t.Parallel()
	const id = "0123456789abcdef0123456789abcdef"
	url := service(t, map[string]string{"/v4/x/task": `{"TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/prod/` + id + `"}`})
	for text, want := range map[string]bool{"prod/" + id: true, id: true, "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id: true, "prod/0123": false, "": false} {
		if got := here(map[string]string{"ECS_CONTAINER_METADATA_URI_V4": url + "/v4/x"}).InThisTask(t.Context(), text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	for _, base := range []string{"", url, "http://127.0.0.1:1\x7f"} {
		if here(map[string]string{"ECS_CONTAINER_METADATA_URI_V4": base}).InThisTask(t.Context(), id) {
			t.Errorf("%q is taken for the task", base)
		}
	}
}
