package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

const device = "arn:aws:iam::111111111111:mfa/me"

// mfaRig has two roles that ask for the device, and a user's keys with it.
func mfaRig(t *testing.T, cfg fakeaws.Config) *rig {
	t.Helper()
	cfg.MFACode = "123456"
	g := newRig(t, cfg)
	g.fake.AddRole(fakeaws.RoleProd, fakeaws.RoleConfig{MFA: true})
	g.fake.AddRole(fakeaws.RoleStaging, fakeaws.RoleConfig{MFA: true})
	g.add("[profile admin]\nrole_arn=%s\nsource_profile=base\nmfa_serial=%s\n", fakeaws.RoleProd, device)
	g.add("[profile deploy]\nrole_arn=%s\nsource_profile=base\nmfa_serial=%s\n", fakeaws.RoleStaging, device)
	id, secret := g.fake.BaseUser()
	g.add("[profile user]\naws_access_key_id=%s\naws_secret_access_key=%s\nmfa_serial=%s\n", id, secret, device)
	return g
}

func (g *rig) signIn(text, code string, renew bool) (time.Time, *usererr.Error) {
	g.Helper()
	until, err := g.r.SignIn(g.Context(), text, device, code, renew)
	return until, usererr.From(err)
}

func (g *rig) calls(op string, want int) {
	g.Helper()
	if n := g.fake.Calls(op); n != want {
		g.Errorf("%s: %d calls, want %d", op, n, want)
	}
}

func TestOneCodeServesAllProfilesOfADevice(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	e := g.fails("admin", usererr.LoginRequired, "needs a code of the MFA device "+device)
	if e.MFA != device || e.Hint != "give it with: rolecall login admin" || e.Changed == nil || e.Changed() {
		t.Errorf("error is %+v", e)
	}
	g.calls("sts:AssumeRole", 0) // nothing is asked without a code
	until, err := g.signIn("admin", "123456", false)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(until); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the session lasts %v", left)
	}
	if !e.Changed() {
		t.Error("who waits for the code does not learn that it was given")
	}
	g.calls("sts:GetSessionToken", 1)
	g.calls("sts:AssumeRole", 0) // signing in fetches no role
	if c := g.must("admin"); c.RoleARN != fakeaws.RoleProd {
		t.Errorf("role is %s", c.RoleARN)
	}
	if c := g.must("deploy"); c.RoleARN != fakeaws.RoleStaging {
		t.Errorf("role is %s", c.RoleARN)
	}
	if c := g.must("user"); c.SessionToken.IsZero() || !c.CanExpire() {
		t.Errorf("the profile of the user gives %v", c)
	}
	g.must("admin")
	g.calls("sts:GetSessionToken", 1)
	// The keys of the profile base are no less usable, and no less long-lived.
	if c := g.must("base"); c.CanExpire() {
		t.Error("base has become a session")
	}
}

func TestCodesThatAreNotTaken(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	for _, tt := range []struct{ code, says string }{
		{"", "it has six digits"},
		{"12345", "it has six digits"},
		{"1234567", "it has six digits"},
		{"12345a", "it has six digits"},
		{"１２３４５６", "it has six digits"},
		{"654321", "sts GetSessionToken of " + device + " was refused"}, // wrong, too old or used before: STS says the same
	} {
		_, err := g.signIn("admin", tt.code, false)
		if err == nil || err.Code != usererr.LoginRequired || err.MFA != device || !strings.Contains(err.Msg, tt.says) {
			t.Errorf("%q: %+v", tt.code, err)
		}
		if err != nil && tt.code != "" && strings.Contains(err.Msg+err.Hint, tt.code) {
			t.Errorf("%q is told in %q", tt.code, err.Msg+err.Hint)
		}
	}
	g.calls("sts:GetSessionToken", 1)
	if _, err := g.signIn("nobody", "123456", false); err == nil || err.Code != usererr.NotConfigured {
		t.Errorf("a source that is not there: %v", err)
	}
	// The code of another device is not used for this one.
	if _, err := g.r.SignIn(t.Context(), "admin", "arn:aws:iam::111111111111:mfa/other", "123456", false); usererr.From(err).MFA != device {
		t.Errorf("another device: %v", err)
	}
	g.calls("sts:GetSessionToken", 1)
}

func TestACodeThatWasUsedBefore(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{SpendMFACodes: true})
	if _, err := g.signIn("admin", "123456", false); err != nil {
		t.Fatal(err)
	}
	_, err := g.signIn("admin", "123456", true)
	if err == nil || err.Code != usererr.LoginRequired || err.MFA != device || !strings.Contains(err.Hint, "a code works once") {
		t.Errorf("the same code again: %+v", err)
	}
	g.must("admin") // by the session that there is
}

func TestNoCodeIsUsedWhileASessionIsGood(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	if _, err := g.signIn("admin", "123456", false); err != nil {
		t.Fatal(err)
	}
	if until, err := g.signIn("deploy", "123456", false); err != nil || !until.IsZero() {
		t.Errorf("signed in again: %v, %v", until, err)
	}
	g.calls("sts:GetSessionToken", 1)
	if until, err := g.signIn("deploy", "123456", true); err != nil || until.IsZero() {
		t.Errorf("not renewed: %v, %v", until, err)
	}
	g.calls("sts:GetSessionToken", 2)
	// A wrong code on renewal leaves the old session in use.
	if _, err := g.signIn("deploy", "000000", true); err == nil {
		t.Error("a wrong code was taken")
	}
	g.must("deploy")
}

func TestASessionThatEnded(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{Lifetime: 30 * time.Second}) // below what is used once more
	if _, err := g.signIn("admin", "123456", false); err != nil {
		t.Fatal(err)
	}
	g.fails("admin", usererr.LoginRequired, "needs a code of the MFA device")
	g.calls("sts:AssumeRole", 0)
}

func TestASessionThatSTSRefuses(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	if _, err := g.signIn("admin", "123456", false); err != nil {
		t.Fatal(err)
	}
	g.fake.Script(fakeaws.Fault{Match: "sts:AssumeRole", Times: 1, Status: 403, Code: "ExpiredToken"})
	g.fails("admin", usererr.LoginRequired, "STS says that the session with the last one has ended")
	n := g.fake.Calls("sts:AssumeRole")
	g.fails("deploy", usererr.LoginRequired, "needs a code")
	g.calls("sts:AssumeRole", n) // it is not tried again
	if _, err := g.signIn("admin", "123456", false); err != nil {
		t.Fatal(err)
	}
	g.must("admin")
}

func TestARoleWithMFAByTemporaryKeys(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	g.add("[profile onward]\nrole_arn=%s\nsource_profile=dev\nmfa_serial=%s\n", fakeaws.RoleProd, device)
	g.fails("onward", usererr.LoginRequired, "needs a code")
	if _, err := g.signIn("onward", "123456", false); err != nil {
		t.Fatal(err)
	}
	n := g.fake.Calls("sts:AssumeRole")
	if c := g.must("onward"); c.RoleARN != fakeaws.RoleProd {
		t.Errorf("role is %s", c.RoleARN)
	}
	g.calls("sts:GetSessionToken", 0) // temporary keys get none
	g.calls("sts:AssumeRole", n+1)    // dev's; the role of the code is kept
}

func TestTwoCodesAtOnce(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	ends := make(chan error)
	for range 8 {
		go func() {
			_, err := g.r.SignIn(context.Background(), "admin", device, "123456", false)
			ends <- err
		}()
	}
	for range 8 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	g.must("admin")
}

func TestLengthOfASession(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{
		{0, 12 * time.Hour}, {time.Hour, time.Hour}, {time.Minute, 15 * time.Minute}, {48 * time.Hour, 36 * time.Hour},
	} {
		g := mfaRig(t, fakeaws.Config{})
		g.configure(Config{MFASession: tt.set})
		until, err := g.signIn("admin", "123456", false)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Until(until) - tt.want; d.Abs() > 5*time.Second {
			t.Errorf("%v: the session lasts %v", tt.set, time.Until(until))
		}
	}
}

func TestSignInEnds(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.r.SignIn(ctx, "admin", device, "123456", false); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// Where nobody keeps sessions, a code serves once.
func TestSessionsThatNobodyKeeps(t *testing.T) {
	g := mfaRig(t, fakeaws.Config{})
	g.r = New(Config{Home: g.home, Getenv: func(name string) string { return g.env[name] }})
	if until, err := g.signIn("admin", "123456", false); err != nil || until.IsZero() {
		t.Fatalf("%v, %v", until, err)
	}
	g.fails("admin", usererr.LoginRequired, "needs a code of the MFA device")
}

// Sessions that STS refused are remembered as long as somebody could take them.
func TestRefusedSessionsAreForgotten(t *testing.T) {
	s, now := endedSessions{}, time.Now()
	for i := range 100 {
		s.add(creds.Credentials{AccessKeyID: fmt.Sprint(i), Expires: now.Add(time.Duration(i+1) * time.Minute)}, now)
	}
	s.add(creds.Credentials{AccessKeyID: "new", Expires: now.Add(24 * time.Hour)}, now.Add(90*time.Minute))
	if _, ok := s["90"]; len(s) != 11 || !ok {
		t.Errorf("%d are left: %v", len(s), s)
	}
}
