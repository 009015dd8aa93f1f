//go:build unix

package faults_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
	"rolecall/test/faults"
	"rolecall/test/world"
)

func TestRow17SignInEnded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var refused time.Time // when upstream last said that the sign-in has ended
	s := newSite(t, fakeaws.Config{Lifetime: 8 * time.Second, OnRequest: func(r fakeaws.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Faulted && r.Status >= 400 && refused.IsZero() || r.Op == "oidc:CreateToken" && r.Faulted {
			refused = time.Now()
		}
	}})
	// Whatever could open a browser or prompt leaves a mark.
	bin := filepath.Join(s.Home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(s.Home, "prompted")
	for _, name := range []string{"xdg-open", "open", "sensible-browser", "x-www-browser", "www-browser", "firefox", "chromium", "google-chrome", "aws", "pinentry", "ssh-askpass", "zenity"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho $0 >>"+mark+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(s.Home, ".aws", "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("\n[profile mfa]\nregion = eu-west-1\nrole_arn = " + fakeaws.RoleDev + "\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n")
	_ = f.Close()
	d := s.serve(world.Options{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "BROWSER=" + filepath.Join(bin, "firefox"), "DISPLAY=:0"}}, "--slot", "sso=sso-dev", "--slot", "mfa=profile:mfa")
	ready := time.Now()
	until(t, 10*time.Second, "login_required for MFA", func() bool {
		e := s.slot("mfa").Error
		return e != nil && e.Code == usererr.LoginRequired && e.Hint != ""
	})
	shownMFA := time.Since(ready)
	r := newReader(t, d)
	first := r.warm(t, "/slot/sso")
	s.AWS.Script(fakeaws.Fault{Match: "sso:*", Status: http.StatusUnauthorized, Code: "UnauthorizedException"}, fakeaws.Fault{Match: "oidc:*", Code: "InvalidGrantException"})
	until(t, 15*time.Second, "login_required", func() bool { // at the next refresh, which nobody asks for
		e := s.slot("sso").Error
		return e != nil && e.Code == usererr.LoginRequired && strings.Contains(e.Hint, "login")
	})
	mu.Lock()
	shown := time.Since(refused)
	mu.Unlock()
	held := r.get("/slot/sso")
	prompts, _ := os.ReadFile(mark)
	n := strings.Count(string(prompts), "\n")
	row(t, 17, n == 0 && faults.Within(shown, time.Second) && faults.Within(shownMFA, time.Second) && held.good() && held.field("AccessKeyId") == first.field("AccessKeyId"),
		"%d prompts; shown %s after upstream's refusal, %s after the start where MFA is needed; the held set was served", n, ms(shown), ms(shownMFA))
}
