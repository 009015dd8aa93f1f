package phpfpm

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/test/fpm"
)

// ours is what Load makes of a configuration, in the words of php-fpm -tt.
func ours(t testing.TB, conf string, env map[string]string) (pools map[string][]string, refused bool) {
	t.Helper()
	tree, err := OpenTree("")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	s, err := Load(Config{Path: conf, Tree: tree, Getenv: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	if err != nil {
		return nil, true
	}
	pools = map[string][]string{}
	for _, p := range s.Pools {
		clear, _, _ := p.ClearEnv()
		lines := []string{"clear_env = " + map[bool]string{true: "yes", false: "no"}[clear]}
		for _, name := range p.EnvNames() {
			all := 0
			for _, set := range p.Settings {
				if set.Name == "env" && set.Key == name {
					lines = append(lines, "env["+name+"] = "+set.Value)
					all++
				}
			}
			if all == 0 {
				t.Errorf("env[%s] has no setting", name)
			}
		}
		if _, addr := p.Listen(); p.Value("listen") != "" {
			lines = append(lines, "listen = "+addr)
		}
		slices.Sort(lines)
		pools[p.Name] = lines
	}
	return pools, len(s.Faults)+len(s.Incomplete()) > 0
}

var poolLine = regexp.MustCompile(`NOTICE: (?:\[(.*)\]|\t((?:clear_env|env\[.*\]|listen) = .*))$`)

// theirs is the same of php-fpm itself.
func theirs(t testing.TB, conf string, env map[string]string) (pools map[string][]string, refused bool) {
	t.Helper()
	c := exec.Command(fpm.Binary(t), "-n", "-tt", "-y", conf)
	c.Env = []string{"PATH=/usr/bin:/bin"}
	for k, v := range env {
		c.Env = append(c.Env, k+"="+v)
	}
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, true
	}
	pools = map[string][]string{}
	pool := ""
	for _, line := range strings.Split(string(out), "\n") {
		m := poolLine.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] != "":
			pool = m[1]
		case pool != "":
			pools[pool] = append(pools[pool], m[2])
		}
	}
	delete(pools, "global")
	for _, lines := range pools {
		slices.Sort(lines)
	}
	return pools, false
}

// statements are lines of a pool file; each stands at the end of [www].
func statements() []string {
	all := []string{
		"env[A] = $FOO", "env[A] = ${FOO}", `env[A] = "$FOO"`, `env[A] = "${FOO}"`, "env[A] = x${FOO}y", "env[A] = ${NOPE}",
		"env[A] =", `env[A] = ""`, "env[A]", "env[A] = $UNSET", "env[A] = one\nenv[A] = two", "ENV[A] = x", "Clear_Env = no",
		"clear_env=no\nclear_env=yes", `env["A"] = x`, "env['A'] = x", "env[A] = '$FOO'", "env [A] = x", "env[A] = a b c ; d",
		`env[A] = "a;b" ; d`, `env[A] = a"b"c`, `env[A] = a"b" c`, "env[A] = yes", "env[A] = no", "env[A] = null",
		`env[A] = "a\"b"`, "env[A] = a=b", "env[A] = 1|2", "# hello", "# hello = 1", "#clear_env = no",
		"  ; comment", "clear_env no", "clear_env", "[WWW]\nclear_env=no", `["www"]` + "\nclear_env=no", "[bad", "[global]\nclear_env=no",
		"[GLOBAL]\nclear_env=no", "foo=bar", `env[A] = "unterminated`, "env[A] = 'unterminated", "include={dir}/none/*.conf",
		"include={dir}/none.conf", "Include={dir}/*.none", "include={dir}/*.none", "listen={dir}/$pool.sock", "listen=$pool.sock",
		"listen = 127.0.0.1:9123", "env[A]=x\r\nclear_env = no\r", "\xef\xbb\xbfclear_env = no", "env[A]=$FOO ; c",
		"env[A]=http://127.0.0.1:4144/", "env[A]=/a b/c", "env[A]=$FOO/x", "env[]=x", "env[B][C]=x", "   clear_env   =   no   ",
		"\tclear_env\t=\tno", "[www] clear_env = no", "[www] ; comment\nclear_env = no", "clear_env = no # comment",
		"env[A] = http://x/?a=b&c=d", `env[A] = "http://x/?a=b&c=d"`, "env[A] = x#y", "env[A] = [x]", "env[A] = {x}", "env[A] = a\\b",
		`env[A] = "a\\b"`, `env[A] = "a'b"`, "env[A] = 'a\"b'", "clear_env = no\x00", "php_admin_value[open_basedir] = /tmp",
		"php_flag[x] = on", "php_value[] = x", "prefix = /tmp", "env[A] = $FOO$BAR", "env[A] = \"$FOO\" x", "env[A] = 'x''y'", "env[A] = ''",
		"env[A] = x'y'", "env[A] = 12abc", "env[A] = -5", "env[A] = 1.50", "env[A] = +1", "[www]clear_env=no", "env[A] = $",
		"env[A] = a$", "env[A] = \"\"x", "access.suppress_path[] = /ping", "pm.max_spawn_rate = 3", ";clear_env = no", "env[A B] = x",
		"env[A]=a\tb", "clear_env = no\n\n\n;x\nclear_env = on", "[app]\n{user}listen={dir}/a.sock\npm=static\npm.max_children=1\n[www]\nclear_env = 0",
	}
	for _, v := range []string{"yes", "no", "on", "off", "true", "false", "1", "0", "YES", "No", "oFF", "none", "null", `"no"`, `"0"`, `"1"`,
		`"yes"`, "'no'", "''", `""`, "", "no ; c", "!1", "!0", "2", "~1", "1|0", "1&0", "1^1", "nope", "no;c", "no yes", "(1)", "!(1|0)", "no no", "\"off\" ",
		`"Off"`, `"YES"`, `"True"`, `"none"`, `"null"`, `"NO"`, `"on"`, `"true"`, `"false"`, "'yes'", "'NO'", "TRUE", "NULL", "None"} {
		all = append(all, "clear_env = "+v)
	}
	return all
}

func checkSame(t *testing.T, name, text string) {
	t.Helper()
	dir := fpm.Dir(t)
	fpm.Write(t, dir, map[string]string{"f.conf": "[global]\nerror_log={dir}/e.log\npid={dir}/pid\n" + fpm.Pool("www") + text})
	env := map[string]string{"FOO": "foovalue", "BAR": "bar"}
	want, refused := theirs(t, dir+"/f.conf", env)
	got, faults := ours(t, dir+"/f.conf", env)
	if refused != faults {
		t.Errorf("%q: FPM refuses it: %v; we: %v", name, refused, faults)
		return
	}
	if !refused && !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q:\nFPM: %q\nwe:  %q", name, want, got)
	}
}

func TestAsFPMReadsIt(t *testing.T) {
	t.Parallel()
	fpm.Binary(t)
	for _, s := range statements() {
		checkSame(t, s, s)
	}
}

// Lines put together at random, that FPM reads as we do.
func TestAsFPMReadsThemTogether(t *testing.T) {
	t.Parallel()
	fpm.Binary(t)
	var fine []string
	for _, s := range statements() {
		dir := t.TempDir()
		fpm.Write(t, dir, map[string]string{"f.conf": fpm.Pool("www") + s})
		if _, refused := ours(t, dir+"/f.conf", nil); !refused {
			fine = append(fine, s)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var lines []string
		for range 2 + r.IntN(8) {
			lines = append(lines, fine[r.IntN(len(fine))])
		}
		text := strings.Join(lines, "\n")
		checkSame(t, text, text)
	}
}

// Files within files, in every order that matters.
func TestIncludesAsFPMReadsThem(t *testing.T) {
	t.Parallel()
	fpm.Binary(t)
	for name, files := range map[string]map[string]string{
		"pool.d in order": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*.conf\n",
			"pool.d/b.conf": "[www]\nclear_env = yes\n", "pool.d/a.conf": fpm.Pool("www") + "clear_env = no\n"},
		"a file without a section continues the one before": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*.conf\n",
			"pool.d/www.conf": fpm.Pool("www"), "pool.d/zz.conf": "clear_env = no\n"},
		"a file without a section comes first": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*.conf\n",
			"pool.d/www.conf": fpm.Pool("www"), "pool.d/aa.conf": "clear_env = no\n"},
		"a dot file and others are left out": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*.conf\n",
			"pool.d/www.conf": fpm.Pool("www"), "pool.d/.zz.conf": "[www]\nclear_env = no\n", "pool.d/zz.conf.default": "[www]\nclear_env=no\n"},
		"after the include": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*.conf\nclear_env = no\n", "pool.d/www.conf": fpm.Pool("www")},
		"cyclic":            {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/f.conf\n" + fpm.Pool("www")},
		"cyclic over two":   {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/g.conf\n" + fpm.Pool("www"), "g.conf": "include={dir}/f.conf\n"},
		"five deep": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/2.c\n", "2.c": "include={dir}/3.c", "3.c": "include={dir}/4.c",
			"4.c": "include={dir}/5.c", "5.c": fpm.Pool("www")},
		"six deep": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/2.c\n", "2.c": "include={dir}/3.c", "3.c": "include={dir}/4.c",
			"4.c": "include={dir}/5.c", "5.c": "include={dir}/6.c", "6.c": fpm.Pool("www")},
		"character classes": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/[!a]?w.conf\n",
			"pool.d/www.conf": fpm.Pool("www"), "pool.d/aww.conf": "[www]\nclear_env=no\n"},
		"a directory matches":   {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/pool.d/*\n", "pool.d/www.conf": fpm.Pool("www"), "pool.d/sub/x.conf": "[www]\nclear_env=no\n"},
		"directories by a glob": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude={dir}/p*/*/*.conf\n", "pools/b/www.conf": fpm.Pool("www"), "pools/c/x.conf": "[www]\nclear_env=no\n"},
		"spaces and quotes in a path": {"f.conf": "[global]\nerror_log={dir}/e.log\ninclude=\"{dir}/my 'pools'/*.conf\"\n",
			"my 'pools'/www one.conf": fpm.Pool("www") + "clear_env=no\n"},
	} {
		dir := fpm.Dir(t)
		fpm.Write(t, dir, files)
		want, refused := theirs(t, dir+"/f.conf", nil)
		got, faults := ours(t, dir+"/f.conf", nil)
		if refused != faults || !refused && !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s:\nFPM: %q, refused %v\nwe:  %q, refused %v", name, want, refused, got, faults)
		}
	}
}

// What the configuration of a pool does to a variable that the master has: the
// table of facts, each line asked of real workers.
func TestWhatWorkersSee(t *testing.T) {
	t.Parallel()
	fpm.Binary(t)
	const k = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	cases := []struct {
		name, settings string
		want           Seen
	}{
		{"default", "", Seen{}},
		{"off", "clear_env = no\n", Seen{Getenv: true, Env: true, Server: true, Value: "http://127.0.0.1:1/"}},
		{"named", "env[" + k + "] = $" + k + "\n", Seen{Getenv: true, Env: true, Server: true, Value: "http://127.0.0.1:1/"}},
		{"unset", "env[" + k + "] = $NOBODY_HAS_IT\n", Seen{Empty: true}},
		{"last", "clear_env = no\nclear_env = yes\n", Seen{}},
		{"first", "env[" + k + "] = http://127.0.0.1:2/\nenv[" + k + "] = http://127.0.0.1:3/\n", Seen{Getenv: true, Env: true, Server: true, Value: "http://127.0.0.1:2/"}},
		{"path", "env[" + k + "] = $" + k + "/x\n", Seen{Empty: true}},
	}
	conf := fpm.Global
	for _, c := range cases {
		conf += fpm.Pool(c.name) + c.settings
	}
	dir := fpm.Dir(t)
	fpm.Write(t, dir, map[string]string{"f.conf": conf})
	fpm.Start(t, fpm.Options{Conf: dir + "/f.conf", Env: []string{k + "=http://127.0.0.1:1/"}})
	tree, err := OpenTree("")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	s, err := Load(Config{Path: dir + "/f.conf", Tree: tree})
	if err != nil || len(s.Faults) > 0 {
		t.Fatal(err, s.Faults)
	}
	before := leftovers(t)
	for _, c := range cases {
		v := look(t, tree, s.Pool(c.name))
		if got := v.Vars[k]; got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if v.PHP == "" || v.Home == "" && os.Geteuid() == 0 {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	_ = before
	t.Run("a FastCGI parameter is no environment", func(t *testing.T) {
		p := s.Pool("default")
		dial, err := Dialer(tree, p, false)
		if err != nil {
			t.Fatal(err)
		}
		at, remove, err := place(tree, p, "MARK")
		if err != nil {
			t.Fatal(err)
		}
		defer remove()
		a, err := Ask(t.Context(), dial, map[string]string{"SCRIPT_FILENAME": at, "REQUEST_METHOD": "GET", k: "http://127.0.0.1:9/"})
		if err != nil {
			t.Fatal(err)
		}
		v, err := parseView(a.Stdout, a.Stderr, "MARK")
		if want := (Seen{Getenv: true, Server: true, Value: "http://127.0.0.1:9/"}); err != nil || v.Vars[k] != want {
			t.Errorf("%+v, %v; want %+v", v.Vars[k], err, want)
		}
	})
}

// leftovers are the probes' directories that are in /tmp.
func leftovers(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("/tmp/.rolecall-probe-*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func look(t *testing.T, tree *Tree, p *Pool) View {
	t.Helper()
	dial, err := Dialer(tree, p, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v, err := Probe(ctx, tree, p, dial)
	if err != nil {
		t.Fatal(fmt.Errorf("pool %s: %w", p.Name, err))
	}
	return v
}
