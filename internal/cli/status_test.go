package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rolecall/internal/control"
	"rolecall/internal/usererr"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "status", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", name, got)
	}
}

func TestStatusScreen(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	full := control.Status{
		Version: "1.2.3", PID: 4242, Started: now.Add(-75 * time.Hour), Auth: "auto", PeerByKernel: true,
		Listeners: []control.Listener{{Endpoint: "ecs", URL: "http://127.0.0.1:4144/"}, {Endpoint: "ecs", URL: "http://172.17.0.1:4144/"}},
		TokenFile: "/run/user/1000/rolecall/authorization-token", ConfigFile: "/home/u/.config/rolecall/config.toml",
		ConfigError: "/home/u/.config/rolecall/config.toml:3: listen: must be text", Answers: 1234567, Denials: 12, AuditLost: 3,
		Warnings: []string{"credentials leave this machine unencrypted at http://172.17.0.1:4144/; set --tls-cert and --tls-key"},
		Slots: []control.Slot{
			{Source: "profile:dev", Profile: "dev", AccountID: "111111111111", RoleName: "dev", State: "valid", Expires: at(119 * time.Minute), Remaining: 7140, RefreshAt: at(time.Hour)},
			{Name: "audit", Source: "profile:audit", AccountID: "222222222222", RoleName: "ReadOnly", State: "advisory", Expires: at(20 * time.Minute), Remaining: 1200, RefreshAt: at(0), Refreshing: true, ClockSkew: -300},
			{Name: "gone", Source: "profile:gone", State: "expired",
				Error: &control.Error{Code: usererr.LoginRequired, Message: "the sign-in to SSO has ended", Hint: "rolecall login gone", NextTry: at(42 * time.Second)}},
			{Name: "pushed", Source: "upload", Profile: "ci", Pushed: true, AccountID: "333333333333", RoleName: "ci", State: "mandatory", Expires: at(90 * time.Second), Remaining: 90},
			{Name: "static\x1b[2J", Source: "profile:base", State: "valid", Static: true, Expires: at(time.Hour), Remaining: 3600, RefreshAt: at(30 * time.Minute)},
			{Name: "source:imds", Source: "imds", ByURL: true, State: "empty", RefreshAt: nil, Refreshing: true},
		},
	}
	for name, c := range map[string]struct {
		st      control.Status
		colours bool
		code    int
	}{
		"full.txt":    {full, false, exitLogin},
		"colours.txt": {full, true, exitLogin},
		"empty.txt": {control.Status{Version: "1.2.3", PID: 1, Started: now, Auth: "none",
			Listeners: []control.Listener{{Endpoint: "ecs", URL: "https://127.0.0.1:4144/"}}}, false, exitFine},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			var signIns []signIn
			if len(c.st.Slots) > 0 {
				signIns = []signIn{
					{Session: "corp", StartURL: "https://corp.awsapps.com/start", State: signedIn, Remaining: 3000, Renews: true},
					{Session: "gone", StartURL: "https://gone.awsapps.com/start", State: ended, Hint: "rolecall login --sso-session gone"},
				}
			}
			if err := writeStatus(&b, c.st, signIns, now, c.colours); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
			if got := healthCode(c.st.Slots); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}

func TestHealthCode(t *testing.T) {
	fails := &control.Error{Code: usererr.Throttled}
	login := &control.Error{Code: usererr.LoginRequired}
	for _, c := range []struct {
		slots []control.Slot
		want  int
	}{
		{nil, 0},
		{[]control.Slot{{State: "valid"}, {State: "advisory", Refreshing: true}, {State: "mandatory"}}, 0},
		{[]control.Slot{{State: "empty", Refreshing: true}}, 1},
		{[]control.Slot{{State: "empty"}}, 1},
		{[]control.Slot{{State: "expired"}}, 1},
		{[]control.Slot{{State: "valid", Error: fails}}, 1},
		{[]control.Slot{{State: "expired"}, {State: "valid", Error: login}}, 4},
	} {
		if got := healthCode(c.slots); got != c.want {
			t.Errorf("%+v: %d, want %d", c.slots, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 42 * time.Second: "42s", 59*time.Second + 900*time.Millisecond: "59s", time.Minute: "1m",
		119*time.Minute + 59*time.Second: "1h 59m", 2 * time.Hour: "2h 0m", 75 * time.Hour: "3d 3h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
