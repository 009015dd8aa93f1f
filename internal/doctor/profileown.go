package doctor

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/shellword"
)

// own looks at what a profile has itself, in the order of the SDKs.
func (w *profileWalk) own(s *awsconfig.Section, have []Way) {
	switch {
	case slices.Contains(have, WayKeys):
		for _, key := range []string{"aws_access_key_id", "aws_secret_access_key", "aws_session_token"} {
			if v, ok := s.Get(key); ok {
				w.steps = append(w.steps, Evidence{Where: w.at(v), Text: key + " (not shown)"})
			}
		}
	case s.Text("credential_source") != "":
		w.source(s)
	case slices.Contains(have, WayIdentity):
		w.tokenFile(s)
	case slices.Contains(have, WaySSO):
		w.sso(s)
	case slices.Contains(have, WayLogin):
		v, _ := s.Get("login_session")
		w.step("login_session", v)
	case slices.Contains(have, WayProcess):
		w.process(s)
	case len(w.faults) == 0:
		at := awsconfig.Value{File: s.File, Line: s.Line}
		summary := fmt.Sprintf("the profile %s has nothing that gives credentials", s.Name)
		if v, ok := s.Get("role_arn"); ok {
			at, summary = v, fmt.Sprintf("the profile %s has role_arn and nothing to assume it with", s.Name)
		}
		w.fault(Failed, "incomplete", summary, at, w.header(s.File, s.Name), Fix{Text: "add source_profile, sso_session, credential_process or keys"})
	}
}

func (w *profileWalk) source(s *awsconfig.Section) {
	v, _ := s.Get("credential_source")
	w.step("credential_source", v)
	if !slices.Contains([]string{"Ec2InstanceMetadata", "EcsContainer", "Environment"}, v.Text) {
		w.fault(Failed, "credential-source", "credential_source is none of Ec2InstanceMetadata, EcsContainer, Environment", v, "credential_source = "+v.Text, Fix{Text: "correct the word"})
	}
}

func (w *profileWalk) tokenFile(s *awsconfig.Section) {
	v, _ := s.Get("web_identity_token_file")
	w.step("web_identity_token_file", v)
	if _, err := w.readSmall(v.Text); err != nil {
		w.fault(Failed, "web-identity-file", "the web identity token cannot be read: "+plain(err), v, "web_identity_token_file = "+v.Text, Fix{Text: "put the token there, for the program's user to read"})
	}
}

// sso looks at a profile of IAM Identity Center and at its cached sign-in.
func (w *profileWalk) sso(s *awsconfig.Section) {
	holder, key := s, s.Text("sso_start_url")
	if session, ok := s.Get("sso_session"); ok && session.Text != "" {
		w.step("sso_session", session)
		key = session.Text
		found, there := w.files.SSOSession(session.Text)
		if !there {
			w.fault(Failed, "sso-session-missing", "there is no section [sso-session "+session.Text+"]", session, "sso_session = "+session.Text, Fix{Text: "add the section, with sso_start_url and sso_region", Command: "aws configure sso-session"})
			return
		}
		holder = found
	}
	for _, need := range []struct {
		in  *awsconfig.Section
		key string
	}{{holder, "sso_start_url"}, {holder, "sso_region"}, {s, "sso_account_id"}, {s, "sso_role_name"}} {
		v, ok := need.in.Get(need.key)
		if !ok || v.Text == "" {
			w.fault(Failed, "sso-incomplete", need.key+" is missing", awsconfig.Value{File: need.in.File, Line: need.in.Line}, "the section "+need.in.Name+" has no "+need.key, Fix{Text: "add " + need.key})
			return
		}
		w.step(need.key, v)
	}
	if v, _ := s.Get("sso_account_id"); len(v.Text) != 12 || strings.Trim(v.Text, "0123456789") != "" {
		w.fault(Failed, "sso-account", "sso_account_id is not the number of an account: it has 12 digits", v, "sso_account_id = "+v.Text, Fix{Text: "correct it", Command: "rolecall roles"})
		return
	}
	w.signIn(s.Name, key)
}

// signIn looks at the token that `aws sso login` left: whether it is there, and
// until when. The token itself is not read.
func (w *profileWalk) signIn(profile, key string) {
	sum := sha1.Sum([]byte(key))
	file := filepath.Join(w.home(), ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json")
	login := []Fix{{Text: "sign in", Command: "rolecall login " + shellword.Word(profile)}, {Command: "aws sso login --profile " + shellword.Word(profile)}}
	needed := func(summary, text string) {
		w.faults = append(w.faults, Result{Outcome: Failed, Cause: "profile.login-needed", Summary: summary, Evidence: []Evidence{{Where: file, Text: text}}, Fixes: login})
	}
	text, err := w.readSmall(file)
	var t struct {
		ExpiresAt             string
		RefreshToken          *json.RawMessage
		RegistrationExpiresAt string
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		needed("nobody has signed in: there is no cached token", "is not there")
		return
	case err != nil:
		needed("the cached sign-in cannot be read", plain(err))
		return
	case json.Unmarshal([]byte(text), &t) != nil:
		needed("the cached sign-in is damaged", "is no JSON")
		return
	}
	end, err := ssoTime(t.ExpiresAt)
	if err != nil {
		needed("the cached sign-in is damaged", "its expiresAt is no time")
		return
	}
	registered, err := ssoTime(t.RegistrationExpiresAt)
	renewable := t.RefreshToken != nil && err == nil && registered.After(w.now)
	switch {
	case end.After(w.now):
		w.steps = append(w.steps, Evidence{Where: file, Text: "signed in for another " + span(end.Sub(w.now))})
	case renewable:
		w.steps = append(w.steps, Evidence{Where: file, Text: "the token has ended, and is renewed at the next use"})
	default:
		needed("the sign-in ended "+span(w.now.Sub(end))+" ago", "expiresAt is past, and there is no refresh token that is good")
	}
}

// ssoTime reads the two forms that AWS tools write.
func ssoTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Parse("2006-01-02T15:04:05UTC", text)
}

// process looks whether the program of credential_process is there.
func (w *profileWalk) process(s *awsconfig.Section) {
	v, _ := s.Get("credential_process")
	word := firstWord(v.Text)
	w.steps = append(w.steps, Evidence{Where: w.at(v), Text: "credential_process runs " + word})
	if why := w.runnable(word); why != "" {
		fix := Fix{Text: "write its full path"}
		if strings.ContainsRune(word, '/') {
			fix = Fix{Text: "install it there, or correct the path"}
		}
		if strings.HasPrefix(word, "~") || strings.Contains(word, "$") {
			fix = Fix{Text: "no shell is run, so ~ and $ mean nothing: write the full path, or sh -c '…'"}
		}
		w.fault(Failed, "process-not-found", "the program of credential_process "+why, v, "credential_process = "+word+" …", fix)
	}
}

// firstWord is the program of a command line; the arguments may hold secrets.
func firstWord(line string) string {
	line = strings.TrimSpace(line)
	if line != "" && (line[0] == '"' || line[0] == '\'') {
		if word, _, ok := strings.Cut(line[1:], line[:1]); ok {
			return word
		}
	}
	word, _, _ := strings.Cut(line, " ")
	return word
}

// runnable says why a program cannot be run, "" when it can.
func (w *profileWalk) runnable(name string) string {
	if name == "" {
		return "is not named"
	}
	if runtime.GOOS == "windows" { // PATHEXT and the registry say more than a look can
		return ""
	}
	places := []string{name}
	if !strings.ContainsRune(name, '/') {
		places = nil
		for _, dir := range filepath.SplitList(w.Env.Get("PATH")) {
			places = append(places, filepath.Join(dir, name))
		}
	}
	why := "is not there"
	for _, place := range places {
		info, err := w.stat(place)
		switch {
		case err != nil || info.IsDir():
		case info.Mode()&0o111 == 0:
			why = "may not be run (no x in its mode)"
		default:
			return ""
		}
	}
	return why
}
