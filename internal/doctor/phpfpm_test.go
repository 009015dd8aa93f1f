package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rolecall/internal/phpfpm"
	"rolecall/test/faults"
	"rolecall/test/world"
)

// served is a pool of a master that runs as a systemd service, on a file system
// of its own. view is what its worker says.
func servedPool(t *testing.T, files map[string]string, here map[string]string, view phpfpm.View) *fpmPool {
	t.Helper()
	dir := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, old, old); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := phpfpm.OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	const unit = "php8.2-fpm.service"
	m := &fpmMaster{Master: &phpfpm.Master{PID: 42, Unit: unit, Tree: tree, Started: time.Now().Add(-time.Minute)}, tree: tree, alone: true, turns: make(chan struct{}, askedAtOnce),
		here: phpfpm.Environment{Where: "this shell", Vars: here}, config: phpfpm.Config{Path: "/php-fpm.conf", Tree: tree}}
	if u := phpfpm.ReadUnit(tree, unit); u != nil {
		m.envs = []phpfpm.Environment{{Where: unit, Vars: u.Environment, Certain: true}}
	}
	if m.setup, err = phpfpm.Load(m.config); err != nil {
		t.Fatal(err)
	}
	return &fpmPool{master: m, pool: m.setup.Pool("www"), view: &view}
}

// Of pools that are more than can be asked in the time, those that had no turn
// are said to be so, and not to hang.
func TestPoolsWithoutATurn(t *testing.T) {
	t.Parallel()
	silent := world.Silent(t, "tcp", "127.0.0.1:0")
	var conf strings.Builder
	const pools = 6 * askedAtOnce
	for i := range pools {
		fmt.Fprintf(&conf, "[p%d]\nlisten = %s\n", i, silent)
	}
	m := servedPool(t, map[string]string{"php-fpm.conf": conf.String(), "tmp/here": "", "var/tmp/here": ""}, nil, phpfpm.View{}).master
	began := time.Now()
	asked := m.asked(t.Context(), "")
	if took := time.Since(began); !faults.Within(took, poolsLimit+NetworkLimit/2) {
		t.Errorf("took %v", took)
	}
	hang, noTurn := 0, 0
	for _, p := range asked {
		found := p.socket(t.Context())
		switch {
		case errors.Is(p.why, errNoTurn) && len(found) == 0:
			noTurn++
		case len(found) == 1 && found[0].Cause == "php-fpm.no-answer":
			hang++
		default:
			t.Errorf("%v: %+v", p.why, found)
		}
	}
	if hang < askedAtOnce || noTurn == 0 || hang+noTurn != pools {
		t.Errorf("%d hang and %d had no turn, of %d", hang, noTurn, pools)
	}
}

func TestPoolOfAService(t *testing.T) {
	t.Parallel()
	const service = "[Service]\nExecStart=/usr/sbin/php-fpm8.2 --nodaemonize\n"
	const dropin = "[Service]\nEnvironment=" + varRelative + "=/v2/credentials/x\n"
	pool := func(lines string) map[string]string {
		return map[string]string{"php-fpm.conf": "[www]\n" + lines, "lib/systemd/system/php8.2-fpm.service": service}
	}
	with := func(files map[string]string) map[string]string {
		files["etc/systemd/system/php8.2-fpm.service.d/aws.conf"] = dropin
		return files
	}
	has := map[string]string{varRelative: "/v2/credentials/x"}
	empty := phpfpm.View{Vars: map[string]phpfpm.Seen{varRelative: {Empty: true}}}
	for _, tt := range []struct {
		name  string
		files map[string]string
		here  map[string]string
		view  phpfpm.View
		cause string
		fix   string
	}{
		{"named in the pool, and not in the service", pool("env[" + varRelative + "] = $" + varRelative + "\n"), has, empty, "systemd.no-environment", "systemctl edit php8.2-fpm.service"},
		{"clear_env = no, and not in the service", pool("clear_env = no\n"), has, phpfpm.View{}, "systemd.no-environment", "a reload does not change"},
		{"the service has it since, and the master was not restarted", with(pool("env[" + varRelative + "] = $" + varRelative + "\n")), nil, empty, "php-fpm.restart-needed", "systemctl restart php8.2-fpm.service"},
		{"the same with clear_env = no", with(pool("clear_env = no\n")), nil, phpfpm.View{}, "php-fpm.restart-needed", "systemctl restart php8.2-fpm.service"},
		{"the service has it, and the pool drops it", with(pool(";clear_env = no\n")), nil, phpfpm.View{}, "php-fpm.clear-env", "add to [www]   env[" + varRelative + "] = $" + varRelative},
		{"the service has it, and workers see it", with(pool("clear_env = no\n")), nil, phpfpm.View{Vars: map[string]phpfpm.Seen{varRelative: {Getenv: true, Env: true, Server: true}}}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := servedPool(t, tt.files, tt.here, tt.view)
			found := p.lines(t.Context())
			if len(found) == 0 {
				found = p.hiddenVars(t.Context())
			}
			if tt.cause == "" {
				if len(found) > 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Cause != tt.cause || found[0].Outcome != Failed {
				t.Fatalf("%+v", found)
			}
			var fixes strings.Builder
			for _, f := range found[0].Fixes {
				fixes.WriteString(f.Text + " " + f.Command + "\n")
			}
			if !strings.Contains(fixes.String(), tt.fix) {
				t.Errorf("fixes %s", fixes.String())
			}
			for _, e := range found[0].Evidence {
				if strings.Contains(e.Text, "/v2/credentials/x") {
					t.Errorf("shows the path: %s", e.Text)
				}
			}
		})
	}
}

// The finding in the words of the example that users know.
func TestWordsOfTheFinding(t *testing.T) {
	t.Parallel()
	p := servedPool(t, map[string]string{"php-fpm.conf": "[www]\n\n;clear_env = no\n"}, nil, phpfpm.View{})
	p.master.Unit = ""
	p.master.envs = []phpfpm.Environment{{Where: "pid 1", Vars: map[string]string{varRelative: "/v2/credentials/x"}, Certain: true}}
	r := p.hiddenVars(t.Context())[0]
	var text []string
	for _, e := range r.Evidence {
		text = append(text, strings.TrimSpace(e.Where+"   "+e.Text))
	}
	const want = `the container has it (pid 1), php-fpm drops it: clear_env is on by default
/php-fpm.conf:3   ;clear_env = no
so the AWS SDK for PHP falls through to http://169.254.169.254 and fails (cURL error 7 or 28)`
	if got := strings.Join(text, "\n"); r.Summary != "workers do not see "+varRelative || got != want {
		t.Errorf("%s\n%s", r.Summary, got)
	}
	if f := r.Fixes; f[0].Text != "add to [www]   env["+varRelative+"] = $"+varRelative || f[1].Command != "rolecall doctor php-fpm --fix" {
		t.Errorf("%+v", f)
	}
}

// Whose copy of the token a pool needs: none where its workers are ours.
func TestWhoseToken(t *testing.T) {
	t.Parallel()
	us := strconv.Itoa(os.Geteuid())
	for _, tt := range []struct {
		pool   string
		master int // uid
		want   string
	}{
		{"user = app", 0, "app"},
		{"user = nosuch", 0, "nosuch"}, // the copy fails, which tells
		{"user = us", 0, ""},
		{"", 0, ""},
		{"user = app", -1, "app"}, // whose it is cannot be seen
		{"user = us", 4242, "4242"},
		{"user = app", max(1, os.Geteuid()), map[bool]string{true: "1"}[os.Geteuid() < 1]},
	} {
		p := servedPool(t, map[string]string{"php-fpm.conf": "[www]\n" + tt.pool + "\n", "etc/passwd": "app:x:12345:1::/:\nus:x:" + us + ":1::/:\n"}, nil, phpfpm.View{})
		p.master.UID = tt.master
		if got := p.user(); got != tt.want {
			t.Errorf("%s, master %d: %q, want %q", tt.pool, tt.master, got, tt.want)
		}
	}
}

func TestPlanRefusesContainers(t *testing.T) {
	t.Parallel()
	p := servedPool(t, map[string]string{"php-fpm.conf": "[www]\nclear_env = yes\n"}, nil, phpfpm.View{})
	p.master.Elsewhere = true
	f := &FPMFix{master: p.master, want: map[string]phpfpm.Wanted{"www": {AllEnv: true}}}
	f.plan()
	if len(f.Changes) != 0 || !strings.Contains(f.Refused, "run rolecall inside the container") || !strings.Contains(f.Snippets(), "[www]\nclear_env = no\n") {
		t.Errorf("%+v", f)
	}
	if r := f.Apply(t.Context(), func(string) { t.Error("it does something") }); r[0].Outcome != Failed || r[0].Cause != "php-fpm.not-fixed" {
		t.Errorf("%+v", r)
	}
}
