//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// TestRow32CLIRewritesItsCache lets rolecall and a tool that behaves as the aws
// CLI does find the same ended token, whose refresh token is good for one use:
// neither of them takes a lock that the other knows, and the CLI's kind of
// writing leaves the file empty and in part for a while.
func TestRow32CLIRewritesItsCache(t *testing.T) {
	t.Parallel()
	w := world.New(t, fakeaws.Config{})
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.Dir(), "config.toml"), []byte("store = \"memory\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(w.Home, ".aws", "sso", "cache", fakeaws.CacheName(fakeaws.SSOSession))
	run := func(name string, args ...string) (stderr string, ok bool) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, name, args...)
		c.Env, c.Dir = w.Environ(), w.Home
		var errs bytes.Buffer
		c.Stderr = &errs
		err := c.Run()
		return errs.String(), err == nil
	}
	rounds, real := 200, 10
	if testing.Short() {
		rounds, real = 20, 2
	}
	aws, err := exec.LookPath("aws")
	if err != nil {
		real = 0
	}
	falsely, theirs, byCLI := 0, 0, 0
	for i := range rounds + real {
		text, err := w.AWS.NewSSOLogin(time.Now().Add(-time.Minute)).CacheFile(w.AWS.URL()+"/start", "eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cache, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var other sync.WaitGroup
		other.Go(func() {
			if i >= rounds {
				if _, ok := run(aws, "sts", "get-caller-identity", "--profile", "sso-dev", "--region", "eu-west-1"); ok {
					byCLI++
				}
				return
			}
			<-time.After(time.Duration(i%20) * time.Millisecond)
			if rewriteAsCLI(w.AWS.URL(), cache) {
				theirs++
			}
		})
		if stderr, ok := run(bin, "process", "sso-dev"); !ok {
			falsely++
			t.Logf("round %d: %s", i, stderr)
		}
		other.Wait()
	}
	row(t, 32, falsely == 0 && (theirs > 0 || testing.Short()), "%d false login_required in %d rounds against a tool that rewrites the cache in place (it was first in %d), and in %d beside the aws CLI itself, which got its answer in %d", falsely, rounds, theirs, real, byCLI)
}

// rewriteAsCLI refreshes the token and rewrites the file in place, slowly. It
// says whether the refresh token was still its to use.
func rewriteAsCLI(url, cache string) bool {
	text, err := os.ReadFile(cache)
	if err != nil {
		return false
	}
	var fields map[string]any
	if json.Unmarshal(text, &fields) != nil { // rolecall never leaves a part
		panic("a part of the cache was read")
	}
	if end, err := time.Parse(time.RFC3339, fmt.Sprint(fields["expiresAt"])); err == nil && end.After(time.Now()) {
		return false // refreshed already
	}
	body, _ := json.Marshal(map[string]any{"clientId": fields["clientId"], "clientSecret": fields["clientSecret"], "refreshToken": fields["refreshToken"], "grantType": "refresh_token"})
	resp, err := http.Post(url+"/token", "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		AccessToken, RefreshToken string
		ExpiresIn                 int
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&out) != nil {
		return false
	}
	fields["accessToken"], fields["refreshToken"] = out.AccessToken, out.RefreshToken
	fields["expiresAt"] = time.Now().Add(time.Duration(out.ExpiresIn) * time.Second).UTC().Format(time.RFC3339)
	text, _ = json.Marshal(fields)
	<-time.After(10 * time.Millisecond) // a Python program takes its time
	f, err := os.OpenFile(cache, os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for part := range strings.SplitAfterSeq(string(text), ",") {
		if _, err := f.WriteString(part); err != nil {
			return false
		}
		<-time.After(time.Millisecond)
	}
	return true
}
