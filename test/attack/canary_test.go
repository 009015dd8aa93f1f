package attack_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// secrets are what must be found nowhere, each in every form that it might be
// written in.
type secrets map[string][]string // :: name → forms

func (s secrets) add(name, value string) {
	if len(value) < 12 {
		return
	}
	forms := []string{value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))), url.QueryEscape(value), url.PathEscape(value)}
	for offset := range 3 { // where it stands in what is encoded changes the text
		inner := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + value))
		inner = strings.TrimRight(inner[4:], "=")
		inner = inner[:len(inner)-2]
		forms = append(forms, inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
	}
	s[name] = forms
}

func (s secrets) in(text string) (found []string) {
	for name, forms := range s {
		for _, f := range forms {
			if strings.Contains(text, f) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

// TestCanary goes through every way that we know for things to go wrong or to be
// shown, and looks for secrets in all that comes out.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	d := w.Serve("--load", "dev", "--slot", "prod=prod", "--slot", "sso=sso-dev", "--slot", "chained=chained", "--log-level", "debug", "--metrics")
	hidden := secrets{}
	learn := func(path string) {
		status, answer, err := d.Get(path)
		if err != nil || status != 200 {
			t.Fatalf("%s: %d %v", path, status, err)
		}
		for _, field := range []string{"AccessKeyId", "SecretAccessKey", "Token"} {
			hidden.add(path+" "+field, fmt.Sprint(answer[field]))
		}
	}
	slots := []string{"", "prod", "sso", "chained"}
	for _, name := range slots {
		learn("/" + strings.TrimSuffix("slot/"+name, "slot/"))
	}
	baseKey, baseSecret := w.AWS.BaseUser()
	hidden.add("base key", baseKey)
	hidden.add("base secret", baseSecret)
	hidden.add("authorization token", tokenOf(t, w))
	cached, err := os.ReadFile(filepath.Join(w.Home, ".aws", "sso", "cache", fakeaws.CacheName(fakeaws.SSOSession)))
	if err != nil {
		t.Fatal(err)
	}
	var sso map[string]string
	if err := json.Unmarshal(cached, &sso); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"accessToken", "refreshToken", "clientSecret"} {
		hidden.add("SSO "+field, sso[field])
	}
	const upKey, upSecret, upToken = "ASIACANARYUPLOAD", "CANARYupload/secret+0123456789abcdefghij", "CANARYupload/token+0123456789abcdefghijklmnopqrst"
	hidden.add("uploaded key", upKey)
	hidden.add("uploaded secret", upSecret)
	hidden.add("uploaded token", upToken)

	scenarios := 0
	look := func(what, text string) {
		scenarios++
		for _, name := range hidden.in(text) {
			t.Errorf("%s: %s", what, name)
		}
	}
	request := func(what, method, path, body string, header ...string) {
		text, _ := exchange("tcp", d.Addr(), lines(append([]string{method + " " + path + " HTTP/1.1", "Host: " + d.Addr(), "Connection: close", fmt.Sprint("Content-Length: ", len(body))}, header...)...)+body)
		if !strings.HasPrefix(text, "HTTP/1.1") {
			t.Errorf("%s: no answer: %q", what, text)
		}
		look(what, text)
	}

	// Upstream misbehaves in every way, and everything is asked meanwhile.
	for i, fault := range []fakeaws.Fault{
		{}, {Status: 403, Code: "AccessDenied", Message: "you sent " + baseSecret}, {Status: 400, Code: "ExpiredToken", Message: sso["accessToken"]}, {Status: 400, Code: "ValidationError", Message: baseSecret + " " + baseSecret},
		{Status: 500}, {Status: 429, RetryAfter: time.Second}, {Status: 503, Body: []byte("<html>" + baseSecret)}, {Body: []byte(baseSecret)}, {Body: []byte(`{"roleCredentials":"` + sso["accessToken"] + `"}`)},
		{EmptyKeys: true}, {Expired: true}, {Truncate: true}, {Reset: true}, {Redirect: "http://127.0.0.1:1/" + url.QueryEscape(baseSecret)}, {Status: 401, Code: "UnauthorizedException", Message: sso["accessToken"]},
	} {
		if i > 0 {
			fault.Match = "*"
			if strings.Contains(fault.Message, sso["accessToken"]) {
				fault.Match = "sso:*" // nobody else is told that token
			}
			w.AWS.ClearFaults()
			w.AWS.Script(fault)
		}
		for _, name := range slots {
			_, text := ask(t, w, http.MethodPost, "/v1/refresh", fmt.Sprintf(`{"slot":%q}`, name))
			look(fmt.Sprintf("fault %d, refresh of %q", i, name), text)
		}
		for _, path := range []string{"/slot", "/profile", "/healthcheck", "/healthcheck/slot/sso", "/slot/none", "/metrics"} {
			request(fmt.Sprintf("fault %d, GET %s", i, path), "GET", path, "")
		}
		for _, path := range []string{"/v1/status", "/metrics"} {
			_, text := ask(t, w, http.MethodGet, path, "")
			look(fmt.Sprintf("fault %d, %s", i, path), text)
		}
		if i > 0 && fault.Status != 429 {
			_, text := ask(t, w, http.MethodPost, "/v1/load", `{"slot":"fresh","source":"staging"}`)
			look(fmt.Sprintf("fault %d, load", i), text)
		}
	}
	w.AWS.ClearFaults()

	// Requests that hold secrets where none belong.
	for _, secret := range []string{upSecret, upToken, tokenOf(t, w), baseSecret} {
		escaped := url.PathEscape(secret)
		for _, path := range []string{"/slot/", "/slot/a", "/healthcheck/slot/", "/?token=", "/creds?x=", "/nothing/"} {
			request("GET "+path, "GET", path+escaped, "", "Authorization: x"+secret)
		}
		for _, header := range []string{"Origin: ", "Referer: http://x/", "Cookie: a=", "X-Forwarded-For: ", "Authorization: Bearer x", "Authorization: Basic ", "X-Aws-Token: ", "Via: ", "Upgrade: ", "Forwarded: for=", "X-Real-Ip: ", "Sec-Fetch-Site: ", "Proxy-Authorization: "} {
			request(header, "GET", "/slot/none", "", header+secret)
		}
		host := "Host: " + secret
		text, _ := exchange("tcp", d.Addr(), lines("GET / HTTP/1.1", host))
		look("Host", text)
	}

	// Uploads that are wrong in one place each, and the right one.
	full := map[string]any{"accountId": 123, "roleName": "r", "accessKeyId": upKey, "secretAccessKey": upSecret, "sessionToken": upToken, "expiration": time.Now().Add(time.Hour).UnixMilli()}
	for field := range full {
		for _, wrong := range []any{nil, "", "x" + upSecret, upToken + "\n", []string{upSecret}, map[string]string{upKey: upSecret}, 1.5, true, -1, strings.Repeat(upSecret, 2000)} {
			broken := map[string]any{}
			for k, v := range full {
				broken[k] = v
			}
			broken[field] = wrong
			body, _ := json.Marshal(map[string]any{"ProfileName": "p", "Creds": broken})
			request(fmt.Sprintf("upload with %s %.20v", field, wrong), "PUT", "/slot/up", string(body))
		}
	}
	body, _ := json.Marshal(map[string]any{"ProfileName": "p", "Creds": full})
	for cut := 0; cut < len(body); cut++ {
		request(fmt.Sprintf("upload cut at %d", cut), "PUT", "/slot/up", string(body[:cut]))
	}
	request("upload", "PUT", "/slot/up", string(body))
	request("upload to a bad name", "PUT", "/slot/a%0ab", string(body))
	request("upload as POST", "POST", "/slot/up", string(body))
	for _, path := range []string{"/slot", "/slot/", "/profile"} {
		request("after the upload, "+path, "GET", path, "")
	}

	// Every command that is not made to show credentials.
	bin, err := world.Binary()
	if err != nil {
		t.Fatal(err)
	}
	run := func(env []string, args ...string) {
		cmd := exec.Command(bin, args...)
		cmd.Env, cmd.Dir = w.Environ(env...), w.Home
		out, _ := cmd.CombinedOutput()
		look("rolecall "+strings.Join(args, " "), string(out))
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"list"}, {"list", "--json"}, {"profile"}, {"profile", "--json"}, {"env"}, {"env", "--format", "fish"}, {"env", "--format", "json"}, {"env", "--format", "docker"}, {"env", "--slot", "up"},
		{"refresh"}, {"refresh", "--slot", "up"}, {"refresh", "--slot", "none"}, {"load", "prod", "--slot", "again"}, {"load", "none"}, {"unload", "--slot", "again"}, {"reload"}, {"config", "check"}, {"version"}, {"help"}, {"list", "--help"},
		{"serve", "--listen", d.Addr()}, {"serve", "--load", "none"}, {"process", "none"}, {"exec", "none", "--", "true"}} {
		run(nil, args...)
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	for _, text := range []string{upSecret, "load = " + upSecret, "listen = [\"" + upToken + "\"]", "[tls]\ncert = \"" + upSecret + "\"", "[slots]\na = 1 " + upSecret, "x = '''" + upSecret, "[auth]\nmode = \"" + upSecret + "\"x"} {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(text, "[auth]") || strings.HasPrefix(text, "listen") || strings.HasPrefix(text, "[tls]") {
			continue // a wrong value of a known setting is shown, as it must be to be found
		}
		run(nil, "config", "check", "--config", config)
	}

	// What is left behind: files, the process table, the log.
	err = filepath.WalkDir(w.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || path == w.TokenFile() {
			return err
		}
		b, err := os.ReadFile(path)
		look("the file "+filepath.Base(path), string(b))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"environ", "cmdline", "comm", "status", "maps"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/%s", d.PID(), name))
		if err != nil {
			continue // not this system
		}
		b, _ := io.ReadAll(f)
		_ = f.Close()
		look("/proc/PID/"+name, string(b))
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	records := 0
	for line := range strings.Lines(d.Log()) {
		records++
		for _, name := range hidden.in(line) {
			t.Errorf("%s is in the log", name)
		}
	}
	if !strings.Contains(d.Log(), "refresh failed") || records < scenarios/2 {
		t.Errorf("%d lines in the log: were things tried at all?", records)
	}
	if scenarios < 500 {
		t.Errorf("%d scenarios, want 500", scenarios)
	}
	t.Logf("%d secrets, %d scenarios, %d lines of log", len(hidden), scenarios, records)
}
