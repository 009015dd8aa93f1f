package signin_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// chromium is a headless browser that is driven over a pipe, by the DevTools
// protocol.
type chromium struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string // of the page
	id      int
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := world.Chromium(t, "--proxy-server=http://127.0.0.1:9", "--remote-debugging-pipe", "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirIn.Close()
	_ = theirOut.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	if err := ourIn.SetReadDeadline(time.Now().Add(90 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, to: ourOut, from: bufio.NewReader(ourIn)}
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	if !c.ask("Target.getTargets", nil, &targets) {
		if world.ChromiumCannot(said.String()) {
			t.Skipf("chromium does not run here: %.500s", said.String())
		}
		t.Fatalf("chromium ended, or did not answer: %.500s", said.String())
	}
	for _, info := range targets.TargetInfos {
		if info.Type == "page" {
			var attached struct{ SessionID string }
			c.ask("Target.attachToTarget", map[string]any{"targetId": info.TargetID, "flatten": true}, &attached)
			c.session = attached.SessionID
		}
	}
	if c.session == "" {
		t.Fatalf("chromium has no page: %+v", targets)
	}
	return c
}

// ask calls a method and decodes its result; false: chromium is gone.
func (c *chromium) ask(method string, params, result any) bool {
	c.t.Helper()
	c.id++
	if params == nil {
		params = struct{}{}
	}
	text, _ := json.Marshal(map[string]any{"id": c.id, "method": method, "params": params})
	if c.session != "" {
		text, _ = json.Marshal(map[string]any{"id": c.id, "method": method, "params": params, "sessionId": c.session})
	}
	if _, err := c.to.Write(append(text, 0)); err != nil {
		return false
	}
	for {
		line, err := c.from.ReadBytes(0)
		if err != nil {
			return false
		}
		var m struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if json.Unmarshal(bytes.TrimRight(line, "\x00"), &m) != nil || m.ID != c.id {
			continue // an event
		}
		if m.Error != nil {
			c.t.Fatalf("chromium: %s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				c.t.Fatal(err)
			}
		}
		return true
	}
}

func (c *chromium) eval(script string) string {
	c.t.Helper()
	var got struct{ Result struct{ Value any } }
	if !c.ask("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &got) {
		c.t.Fatal("chromium is gone")
	}
	return fmt.Sprint(got.Result.Value)
}

// shows waits until the page has text.
func (c *chromium) shows(text string) {
	c.t.Helper()
	seen := ""
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the page shows %q", seen)
		}
	}()
	until(c.t, 30*time.Second, "the page shows "+text, func() bool {
		seen = c.eval(`document.body ? document.title + " " + document.body.innerText : ""`)
		return strings.Contains(seen, text)
	})
}

func (c *chromium) opens(page string) {
	c.t.Helper()
	c.ask("Page.navigate", map[string]any{"url": page}, nil)
}

// A person signs in in Chromium: the page that rolecall opens, a click, and back.
func TestChromiumSignsIn(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"browser", "code"} {
		t.Run(way, func(t *testing.T) {
			s := newSite(t, fakeaws.Config{ManualApproval: true, DeviceInterval: time.Second})
			c := startChromium(t)
			// BROWSER only tells which page it was given: the browser is running.
			told := filepath.Join(s.Home, "page")
			script := filepath.Join(s.Home, "browser")
			if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$#\" \"$1\" >"+told+".tmp && mv "+told+".tmp "+told+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			args := []string{"login", "sso-dev", "--device=false"}
			if way == "code" {
				args[2] = "--device"
			}
			path, err := world.Binary()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, args...)
			cmd.Env = s.environ("BROWSER=" + script)
			var out, errs world.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			page := ""
			if way == "browser" {
				until(t, 20*time.Second, "a page is opened", func() bool { b, err := os.ReadFile(told); page = string(b); return err == nil })
				count, rest, _ := strings.Cut(strings.TrimSpace(page), " ")
				if page = rest; count != "1" || !strings.Contains(page, "/authorize?") {
					t.Fatalf("the browser was given %s arguments: %s", count, page)
				}
			} else {
				until(t, 20*time.Second, "a code is shown", func() bool {
					for _, line := range strings.Split(errs.String(), "\n") {
						if strings.Contains(line, "?user_code=") {
							page = strings.TrimSpace(line)
						}
					}
					return page != ""
				})
			}
			c.opens(page)
			c.shows("Allow access?")
			c.eval(`document.querySelector("button[value=allow]").click()`)
			if way == "browser" {
				c.shows("Signed in Signed in") // the title, and the plain page
				c.shows("You can close this window and go back to the terminal")
				if at := c.eval("location.origin"); !strings.HasPrefix(at, "http://127.0.0.1:") {
					t.Errorf("the page is at %s", at)
				}
			} else {
				c.shows("Allowed")
			}
			select {
			case err := <-ended:
				if err != nil || !strings.Contains(out.String(), "signed in to fake until ") {
					t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
				}
			case <-time.After(30 * time.Second):
				t.Fatal("login does not end")
			}
			if found := s.Leaks(out.String() + errs.String()); len(found) > 0 {
				t.Errorf("login tells %v", found)
			}
			s.must(s.rolecall(nil, "exec", "sso-dev", "--", "true"))
		})
	}
}
