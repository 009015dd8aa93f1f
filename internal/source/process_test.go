package source

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

// processRig has the profile p whose credential_process is this test binary,
// told by a variable what to do.
func processRig(t *testing.T, what, args string) *rig {
	g := newRig(t, fakeaws.Config{})
	g.add("[profile p]\ncredential_process = %s\n", quotedProcess(args))
	g.configure(Config{Environ: func() []string {
		return append(os.Environ(), "SOURCE_TEST_PROCESS="+what, "ROLECALL_DIR=CANARY1", "rolecall_token=CANARY2", "AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARY3", "KEPT=yes")
	}})
	return g
}

func TestProcess(t *testing.T) {
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, tt := range []struct {
		name, answer string
		code         usererr.Code // "": fine
		word         string
		expires      time.Time
	}{
		{"no expiry", `{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s"}`, "", "", time.Time{}},
		{"temporary", `{"Version":1,"AccessKeyId":"ASIAFAKE","SecretAccessKey":"s","SessionToken":"t","AccountId":"111111111111","Expiration":"` + future.Format(time.RFC3339) + `"}`, "", "", future},
		{"expired", `{"Version":1,"AccessKeyId":"ASIAFAKE","SecretAccessKey":"s","SessionToken":"t","Expiration":"2020-01-02T03:04:05Z"}`, usererr.Unavailable, "ended at 2020-01-02T03:04:05Z", time.Time{}},
		{"the zero time", `{"Version":1,"AccessKeyId":"ASIAFAKE","SecretAccessKey":"s","SessionToken":"t","Expiration":"0001-01-01T00:00:00Z"}`, usererr.Unavailable, "keys that ended", time.Time{}},
		{"expiring without token", `{"Version":1,"AccessKeyId":"ASIAFAKE","SecretAccessKey":"s","Expiration":"` + future.Format(time.RFC3339) + `"}`, usererr.Unavailable, "Token is missing", time.Time{}},
		{"other version", `{"Version":2,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s"}`, usererr.Unavailable, "Version other than 1", time.Time{}},
		{"no version", `{"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s"}`, usererr.Unavailable, "Version other than 1", time.Time{}},
		{"no secret", `{"Version":1,"AccessKeyId":"AKIAFAKE"}`, usererr.Unavailable, "without keys", time.Time{}},
		{"bad time", `{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s","Expiration":"tomorrow"}`, usererr.Unavailable, "no ISO 8601 time", time.Time{}},
		{"nothing", " ", usererr.Unavailable, "not the JSON", time.Time{}},
		{"fails", "exit ", usererr.Unavailable, "exit status 7", time.Time{}},
		{"control characters", `{"Version":1,"AccessKeyId":"AKIA\nFAKE","SecretAccessKey":"s"}`, usererr.Unavailable, "control characters", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := processRig(t, tt.answer, "")
			if tt.code != "" {
				g.fails("p", tt.code, tt.word)
				return
			}
			if c := g.must("p"); !c.Expires.Equal(tt.expires) || strings.Contains(tt.answer, "AccountId") != (c.AccountID == "111111111111") {
				t.Errorf("%v, account %q", c, c.AccountID)
			}
		})
	}
}

func TestProcessWordsAndEnvironment(t *testing.T) {
	args := `a 'b c' "d e" f\ g $HOME ~ ; # $(x)`
	want := "a|b c|d e|f g|$HOME|~|;|#|$(x)"
	if runtime.GOOS == "windows" {
		args, want = `a "b c" C:\d`, `a|b c|C:\d`
	}
	g := processRig(t, "args", "")
	// The comment rule of the file would cut the line at " ;".
	g.write(".aws/config", "[profile p]\ncredential_process =\n")
	argv, err := splitCommand(quotedProcess(args))
	if err != nil || strings.Join(argv[1:], "|") != want {
		t.Errorf("words are %q, %v", argv, err)
	}
	g = processRig(t, "args", strings.NewReplacer(" ;", "", " #", "").Replace(args))
	if got := g.must("p").SecretAccessKey.Reveal(); got != strings.NewReplacer("|;", "", "|#", "").Replace(want) {
		t.Errorf("arguments are %q", got)
	}
	g = processRig(t, "environ", "")
	if got := g.must("p").SecretAccessKey.Reveal(); strings.Contains(got, "CANARY") || !strings.Contains(got, "KEPT=yes") {
		t.Errorf("the environment has what is rolecall's own, or lacks the rest")
	}
}

func TestProcessFlood(t *testing.T) {
	g := processRig(t, "flood", "")
	g.fails("p", usererr.Unavailable, "more than 64 KiB")
}

func TestProcessHang(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	g := processRig(t, "hang", "'"+pidFile+"'")
	if runtime.GOOS == "windows" {
		g = processRig(t, "hang", `"`+pidFile+`"`)
	}
	s, err := g.r.Resolve("p")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := s.Provider.Retrieve(ctx)
		done <- err
	}()
	pid := waitForPid(t, pidFile)
	cancel()
	isError(t, "hang", <-done, usererr.Unavailable, "was killed")
	waitForEnd(t, pid)
}

// TestProcessOrphan: an answer is taken although a child of the process keeps
// the output open.
func TestProcessOrphan(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	g := processRig(t, "orphan", "'"+pidFile+"'")
	if runtime.GOOS == "windows" {
		g = processRig(t, "orphan", `"`+pidFile+`"`)
	}
	if c := g.must("p"); c.AccessKeyID != "AKIAFAKEPROCESS" {
		t.Errorf("%v", c)
	}
	if p, err := os.FindProcess(waitForPid(t, pidFile)); err == nil {
		_ = p.Kill()
	}
}

// waitForPid polls for what a child process writes, which nothing announces.
func waitForPid(t *testing.T, file string) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		text, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(string(text)); err == nil {
			return pid
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("the process did not start its child")
	return 0
}

func TestProcessMissing(t *testing.T) {
	g := newRig(t, fakeaws.Config{})
	g.add("[profile p]\ncredential_process = /nowhere/CANARY/get --token CANARY\n")
	e := g.fails("p", usererr.NotConfigured, `program "get"`, "config:", "sh -c")
	if strings.Contains(e.Msg, "CANARY") {
		t.Errorf("the command is shown: %s", e.Msg)
	}
}

func TestProcessUntrustedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows files have no mode bits")
	}
	g := processRig(t, `{"Version":1,"AccessKeyId":"AKIAFAKE","SecretAccessKey":"s"}`, "")
	path := filepath.Join(g.home, ".aws", "config")
	g.must("p")
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		g.fails("p", usererr.NotConfigured, "credential_process is not run", path, "chmod")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	g.must("p")
	if os.Geteuid() == 0 { // only root can give files away
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		g.fails("p", usererr.NotConfigured, "credential_process is not run")
	}
}
