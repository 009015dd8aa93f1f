//go:build unix

package process_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// The two recipes for PHP of docs/caching.md, in a real php-fpm whose pool hides
// the environment. The script takes the steps that the SDK for PHP takes, as it
// is not here itself.
const phpScript = `<?php
header('Content-Type: application/json');
$uri = getenv('AWS_CONTAINER_CREDENTIALS_FULL_URI');
if (isset($_SERVER['QUERY_STRING']) && $_SERVER['QUERY_STRING'] === 'home') { echo json_encode(['Home' => getenv('HOME'), 'Path' => getenv('AWS_CONFIG_FILE')]); exit; }
if ($uri) { echo file_get_contents($uri); exit; }
$ini = parse_ini_file(getenv('HOME') . '/.aws/config', true, INI_SCANNER_RAW);
$out = shell_exec($ini['profile default']['credential_process']);
$got = json_decode($out, true);
if ($got['Version'] !== 1) { http_response_code(500); }
echo $out;
`

func TestPHPRecipes(t *testing.T) {
	fpm, cgi := "", ""
	for _, name := range []string{"php-fpm8.2", "php-fpm8.3", "php-fpm8.4", "php-fpm"} {
		if path, err := exec.LookPath(name); err == nil && fpm == "" {
			fpm = path
		}
	}
	if path, err := exec.LookPath("cgi-fcgi"); err == nil {
		cgi = path
	}
	pool, err := user.Lookup("www-data")
	switch {
	case fpm == "" || cgi == "":
		t.Skip("there is no php-fpm or no cgi-fcgi: apt-get install php-fpm libfcgi-bin")
	case os.Geteuid() != 0 || err != nil:
		t.Skip("only root can run a pool as www-data")
	}
	uid, _ := strconv.Atoi(pool.Uid)
	w := world.New(t, fakeaws.Config{Lifetime: time.Hour})
	bin, err := world.Plain()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(w.Home, "credentials.php")
	if err := os.WriteFile(script, []byte(phpScript), 0o644); err != nil {
		t.Fatal(err)
	}
	// The pool user's own files name the source; nothing comes from the environment
	// but what tests need to reach a fake AWS.
	run := filepath.Join(w.Home, "process")
	var text strings.Builder
	text.WriteString("#!/bin/sh\n")
	for _, kv := range w.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, value)
	}
	fmt.Fprintf(&text, "exec %s process dev\n", bin)
	if err := os.WriteFile(run, []byte(text.String()), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(w.Home, ".aws", "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "\n[profile default]\ncredential_process = %s\n", run)
	if e := f.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	give(t, w, uid)

	// start runs php-fpm with the lines in its pool, and returns how to ask it.
	start := func(t *testing.T, lines ...string) func(query string) map[string]string {
		dir, err := os.MkdirTemp("", "fpm-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		socket := filepath.Join(dir, "s")
		conf := "[global]\nerror_log = " + dir + "/log\ndaemonize = no\n[www]\nuser = www-data\ngroup = www-data\nlisten = " + socket + "\npm = static\npm.max_children = 4\n" + strings.Join(lines, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(fpm, "-y", filepath.Join(dir, "conf"))
		c.Env = []string{"PATH=" + os.Getenv("PATH")}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Signal(os.Interrupt); _ = c.Wait() })
		wait(t, "php-fpm listens", func() bool { _, err := os.Stat(socket); return err == nil })
		return func(query string) map[string]string {
			c := exec.Command(cgi, "-bind", "-connect", socket)
			c.Env = []string{"PATH=" + os.Getenv("PATH"), "SCRIPT_FILENAME=" + script, "SCRIPT_NAME=/credentials.php", "REQUEST_METHOD=GET", "QUERY_STRING=" + query}
			out, err := c.Output()
			if err != nil {
				t.Error(err)
				return nil
			}
			_, body, _ := strings.Cut(string(out), "\r\n\r\n")
			var a map[string]any
			if json.Unmarshal([]byte(body), &a) != nil {
				t.Errorf("answered %d bytes that are no JSON object", len(body))
			}
			answer := map[string]string{}
			for k, v := range a {
				answer[k] = fmt.Sprint(v)
			}
			return answer
		}
	}
	all := func(t *testing.T, ask func(string) map[string]string) {
		t.Helper()
		var wg sync.WaitGroup
		keys := make([]string, 30)
		for i := range keys {
			wg.Go(func() { keys[i] = ask("")["AccessKeyId"] })
		}
		wg.Wait()
		for _, k := range keys {
			if k == "" || k != keys[0] {
				t.Errorf("got %q and %q", keys[0], k)
			}
		}
		if n := w.AWS.Calls("sts:AssumeRole"); n != 1 {
			t.Errorf("%d calls for 30 requests", n)
		}
	}
	t.Run("without a daemon", func(t *testing.T) {
		if home := start(t)("home"); home["Home"] != pool.HomeDir || home["Path"] != "false" {
			t.Errorf("a pool that hides the environment has %v, and the home of its user is %s", home, pool.HomeDir)
		}
		all(t, start(t, "env[HOME] = "+w.Home))
	})
	t.Run("with a daemon", func(t *testing.T) {
		w.AWS.ResetCalls()
		d := w.ServeWith(world.Options{Plain: true, Prefix: []string{"setpriv", "--reuid=" + pool.Uid, "--regid=" + pool.Gid, "--clear-groups", "--"}}, "--load", "staging")
		all(t, start(t, "env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = "+d.URL+"/creds"))
	})
}
