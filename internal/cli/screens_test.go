package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"rolecall/internal/control"
	"rolecall/internal/usererr"
)

// The screens in docs/sign-in.md are what is really shown.
func TestScreensInDocs(t *testing.T) {
	t.Parallel()
	page := document(t, "docs/sign-in.md")
	good, over := "signed in, 50m left, renews itself", "sign-in ended"
	p := newPicker([]profile{
		{Name: "Production/ReadOnly", Kind: "sso corp", Account: "333333333333", Role: "ReadOnly", Note: good, Source: "sso:corp/333333333333/ReadOnly"},
		{Name: "dev", Kind: "assume-role", Account: "111111111111", Role: "dev", Region: "eu-west-1"},
		{Name: "dev-sso", Kind: "sso", Account: "111111111111", Role: "Developer", Region: "eu-west-1", Note: good},
		{Name: "legacy", Kind: "sso", Account: "999999999999", Role: "Admin", Region: "eu-west-1", Note: over},
		{Name: "Development/Admin", Kind: "sso corp", Account: "111111111111", Role: "Admin", Note: good, Source: "sso:corp/111111111111/Admin"},
		{Name: "Development/ReadOnly", Kind: "sso corp", Account: "111111111111", Role: "ReadOnly", Note: good, Source: "sso:corp/111111111111/ReadOnly"},
		{Name: "Production/Admin", Kind: "sso corp", Account: "333333333333", Role: "Admin", Note: good, Source: "sso:corp/333333333333/Admin"},
	})
	p.Update(tea.WindowSizeMsg{Width: 112, Height: 30})
	press(p, strings.Split("admin", "")...)
	shown := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(p.View().Content, "")
	if !strings.Contains(page, "```\n"+shown+"\n```") {
		t.Errorf("docs/sign-in.md does not have the picker's screen:\n%s", shown)
	}

	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	next := now.Add(42 * time.Second)
	var b bytes.Buffer
	err := writeStatus(&b, control.Status{Version: "0.1.0", PID: 4242, Started: now.Add(-3 * time.Hour), Auth: "auto", PeerByKernel: true,
		Listeners: []control.Listener{{Endpoint: "ecs", URL: "http://127.0.0.1:4144/"}}, TokenFile: "/run/user/1000/rolecall/authorization-token", Answers: 1204,
		Slots: []control.Slot{
			{State: "valid", Source: "sso:corp/333333333333/ReadOnly", AccountID: "333333333333", RoleName: "ReadOnly", Expires: ptr(now.Add(48 * time.Minute)), Remaining: 2900, RefreshAt: ptr(now.Add(20 * time.Minute))},
			{Name: "legacy", State: "expired", Source: "profile:legacy", Error: &control.Error{Code: usererr.LoginRequired, Message: "the sign-in to SSO has ended", Hint: "rolecall login legacy", NextTry: &next}},
		}}, []signIn{
		{Session: "corp", StartURL: "https://corp.awsapps.com/start", State: signedIn, Remaining: 3000, Renews: true},
		{Session: "old", StartURL: "https://old.awsapps.com/start", State: ended, Hint: "rolecall login --start-url https://old.awsapps.com/start --region eu-west-1"},
	}, now, false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page, "```\n"+b.String()+"```") {
		t.Errorf("docs/sign-in.md does not have the status screen:\n%s", b.String())
	}
}

func ptr(t time.Time) *time.Time { return &t }
