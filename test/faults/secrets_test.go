//go:build unix

package faults_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// haystack is everything that was written or answered where no secret belongs.
type haystack struct {
	scenarios int
	pieces    map[string]string // :: text → where it was found
}

func (h *haystack) add(where, text string) {
	h.scenarios++
	h.pieces[text] = where
}

// spellings of a secret that a careless program might write.
func spellings(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	quoted, _ := json.Marshal(secret)
	all = append(all, strings.Trim(string(quoted), `"`))
	for pad := range 3 { // base64 has three alignments; what depends on the neighbours is cut off
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString([]byte(strings.Repeat("x", pad) + secret))
			all = append(all, text[[]int{0, 2, 3}[pad]:len(text)-2])
		}
	}
	return all
}

func (h *haystack) search(t *testing.T, secrets map[string]string) (hits int) {
	t.Helper()
	for secret, what := range secrets {
		for _, s := range spellings(secret) {
			for text, where := range h.pieces {
				if strings.Contains(text, s) {
					hits++
					t.Errorf("%s is in %s", what, where)
				}
			}
		}
	}
	return hits
}

func TestRow50Canaries(t *testing.T) {
	t.Parallel()
	s := newSite(t, fakeaws.Config{})
	secrets := map[string]string{world.Canary: "the canary of all issued secrets and tokens"}
	_, base := s.AWS.BaseUser()
	secrets[base] = "the base user's secret"
	const own = "CANARYauthorizationOfAnotherEndpoint"
	secrets[own] = "the token of the container endpoint"

	environ := filepath.Join(s.Home, "child-environ")
	script := filepath.Join(s.Home, "process")
	keys := `{"Version":1,"AccessKeyId":"ASIAPROCESS00001","SecretAccessKey":"CANARYworldProcess","SessionToken":"CANARYworldProcessToken","Expiration":"2099-01-01T00:00:00Z"}`
	if err := os.WriteFile(script, []byte("#!/bin/sh\nenv >>"+environ+"\ncat /proc/$PPID/cmdline >>"+environ+" 2>/dev/null\necho CANARYworldOnStderr >&2\n"+
		"case $(cat "+s.Home+"/process-mode 2>/dev/null) in fail) echo CANARYworldOnStdout; exit 3;; junk) echo '{CANARYworld';; *) echo '"+keys+"';; esac\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.Home, ".aws", "config"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("\n[profile process]\ncredential_process = " + script + " --secret CANARYworldInArguments\n")
	_ = f.Close()

	slots := map[string]string{"": "/", "chained": "/slot/chained", "sso": "/slot/sso", "task": "/slot/task", "ec2": "/slot/ec2", "process": "/slot/process", "base": "/slot/base"}
	d := s.serve(world.Options{Fails: true, Env: []string{"AWS_CONTAINER_AUTHORIZATION_TOKEN=" + own, "GOTRACEBACK=all"}}, "--log-level", "debug", "--metrics", "--load", "dev",
		"--slot", "chained=chained", "--slot", "sso=sso-dev", "--slot", "task=container", "--slot", "ec2=imds", "--slot", "process=profile:process", "--slot", "base=profile:base")
	token, err := os.ReadFile(s.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	secrets[string(token)] = "the authorization token"
	r := newReader(t, d)
	h := &haystack{pieces: map[string]string{}}
	note := func(name string) {
		if a := r.get(slots[name]); a.status == 200 {
			for _, field := range []string{"SecretAccessKey", "Token", "AccessKeyId"} {
				if v := a.field(field); v != "" {
					secrets[v] = field + " of " + name
				}
			}
		} else {
			h.add("the answer of "+slots[name], string(a.body)+fmt.Sprint(a.header))
		}
	}
	for name := range slots {
		r.get(slots[name])
		until(t, 20*time.Second, "credentials of "+name, func() bool { return r.get(slots[name]).status == 200 })
		note(name)
	}
	if len(secrets) < 15 {
		t.Fatalf("only %d secrets are known", len(secrets))
	}

	echo := "denied for key " + base + " and token CANARYworldInAnErrorMessageOfUpstream00"
	for i, fault := range []fakeaws.Fault{
		{}, {Truncate: true}, {EmptyKeys: true}, {Expired: true}, {Reset: true}, {Redirect: "http://" + world.Canary + ".invalid/" + base},
		{Status: 400, Code: "ExpiredToken", Message: echo}, {Status: 403, Code: "AccessDenied", Message: echo}, {Status: 429, Code: "Throttling", Message: echo},
		{Status: 500, Message: echo}, {Status: 400, Code: base, Message: echo}, {Body: []byte(echo), ContentType: "text/html"}, {Body: []byte(`{"AccessKeyId":"` + base + `","SecretAccessKey":"` + base + `"`)},
	} {
		s.AWS.ClearFaults()
		if i > 0 {
			fault.Match = "*"
			s.AWS.Script(fault)
		}
		mode := []string{"", "fail", "junk"}[i%3]
		if err := os.WriteFile(filepath.Join(s.Home, "process-mode"), []byte(mode), 0o600); err != nil {
			t.Fatal(err)
		}
		for name := range slots {
			_, err := s.refresh(name)
			h.add("the error of a refresh", fmt.Sprintf("%v %+v %#v", err, err, err))
			note(name)
			for _, path := range []string{"/slot", "/profile", "/metrics", "/healthcheck/slot/" + name, "/slot/" + name + "none", "/source/profile:" + name + "x"} {
				a := r.get(path)
				h.add(path, string(a.body)+fmt.Sprint(a.header))
			}
		}
		st, err := s.control().Status(t.Context())
		text, _ := json.Marshal(st)
		h.add("the status", fmt.Sprint(string(text), err))
		h.add("the metrics", s.scrape())
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/?token=" + string(token), "/slot/" + url.PathEscape(string(token))} {
		a := r.get(path)
		if !strings.Contains(path, "?") { // that one is the default slot, which may tell
			h.add("the answer of "+path[:7], string(a.body))
		}
	}
	for _, header := range []string{string(token) + "x", "Bearer " + base, "Basic " + base} {
		req, err := http.NewRequest(http.MethodGet, d.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		h.add("an answer to a wrong token", fmt.Sprint(resp.StatusCode, resp.Header))
	}
	for _, file := range []string{"cmdline", "comm", "status"} {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.PID(), file))
		h.add("/proc/PID/"+file, string(b))
	}
	b, err := os.ReadFile(environ)
	if err != nil || len(b) == 0 {
		t.Errorf("the child's environment is not known: %v", err)
	}
	h.add("a child's environment", string(b))
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.PID()))

	// The crash, with the stacks of all goroutines.
	d.Signal(syscall.SIGQUIT)
	_ = d.Wait()
	if !strings.Contains(d.Log(), "goroutine ") {
		t.Error("no stacks were written")
	}
	h.add("the log with the crash's stacks", d.Log())
	cores := 0
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max core file size") && strings.Fields(line)[4] != "0" {
			cores++
		}
	}
	if found, _ := filepath.Glob(filepath.Join(s.Home, "core*")); len(found) > 0 {
		cores++
	}
	hits := h.search(t, secrets)
	row(t, 50, hits == 0 && cores == 0 && h.scenarios >= 500, "%d found of %d secrets in %d spellings each, over %d scenarios; no core dump", hits, len(secrets), len(spellings("xxxx")), h.scenarios)
}
