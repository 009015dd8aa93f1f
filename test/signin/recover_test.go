package signin_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// A sign-in that ended: programs are told at once, status shows it, nothing
// opens a browser, and after `rolecall login` every slot is good again within a
// second, without a restart.
func TestSignInEndsAndComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, fakeaws.Config{DeviceInterval: time.Second})
	mark := filepath.Join(s.Home, "opened")
	bin := filepath.Join(s.Home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"browser", "xdg-open", "open", "sensible-browser", "aws"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho $0 >>"+mark+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const slots = 20
	args := []string{}
	for i := range slots {
		source := "profile:sso-dev"
		if i%2 == 1 {
			source = "sso:fake/111111111111/ReadOnly"
		}
		args = append(args, "--slot", fmt.Sprintf("s%d=%s", i, source))
	}
	d := s.ServeWith(world.Options{Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "BROWSER=browser", "DISPLAY=:0"}}, args...)
	for i := range slots {
		path := fmt.Sprintf("/slot/s%d", i)
		until(t, 20*time.Second, "the slot knows", func() bool {
			status, answer, err := d.Get(path)
			return err == nil && status == http.StatusServiceUnavailable && answer["Code"] == "login_required"
		})
		began := time.Now()
		status, answer, err := d.Get(path)
		took := time.Since(began)
		if err != nil || status != 503 || !strings.Contains(fmt.Sprint(answer["message"]), "rolecall login") || !faults.Within(took, time.Second) {
			t.Errorf("%s: %d %v %v after %v", path, status, answer, err, took)
		}
	}
	if o := s.rolecall(nil, "status"); o.code != 4 || !strings.Contains(o.out, "login_required") || !strings.Contains(o.out, "hint: rolecall login") {
		t.Errorf("status: exit code %d\n%s", o.code, o.out)
	}
	if text, err := os.ReadFile(mark); err == nil {
		t.Errorf("something was opened: %s", text)
	}
	s.must(s.rolecall(nil, "login", "sso-dev", "--device"), "signed in to fake")
	signedIn := time.Now()
	for i := range slots {
		until(t, 10*time.Second, "the slot recovers", func() bool {
			status, _, err := d.Get(fmt.Sprintf("/slot/s%d", i))
			return err == nil && status == http.StatusOK
		})
	}
	if took := time.Since(signedIn); !faults.Within(took, time.Second) {
		t.Errorf("all slots are good %v after the sign-in", took)
	} else {
		t.Logf("all %d slots are good %v after the sign-in", slots, took)
	}
	if text, err := os.ReadFile(mark); err == nil {
		t.Errorf("something was opened: %s", text)
	}
}
