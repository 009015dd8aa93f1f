package phpfpm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rolecall/test/fpm"
)

const relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"

// inTree opens dir as a whole file system, with the files in it.
func inTree(t testing.TB, files map[string]string) *Tree {
	t.Helper()
	dir := t.TempDir()
	fpm.Write(t, dir, files)
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}

func load(t testing.TB, tree *Tree, main string) (Config, *Setup) {
	t.Helper()
	c := Config{Path: main, Tree: tree}
	s, err := Load(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestPlan(t *testing.T) {
	t.Parallel()
	main := "[global]\ninclude=/pool.d/*.conf\n"
	named := Wanted{Names: []string{relative}}
	for _, tt := range []struct {
		name   string
		files  map[string]string
		want   Wanted
		after  map[string]string // of the files that change
		byHand bool
	}{
		{name: "after the line that is commented out", files: map[string]string{"pool.d/www.conf": "[www]\nuser = x\n;clear_env = no\n\npm = static\n"}, want: named,
			after: map[string]string{"/pool.d/www.conf": "[www]\nuser = x\n;clear_env = no\nenv[" + relative + "] = $" + relative + "\n\npm = static\n"}},
		{name: "at the end, without a line break", files: map[string]string{"pool.d/www.conf": "[www]\nuser = x"}, want: named,
			after: map[string]string{"/pool.d/www.conf": "[www]\nuser = x\nenv[" + relative + "] = $" + relative + "\n"}},
		{name: "line breaks of Windows stay", files: map[string]string{"pool.d/www.conf": "[www]\r\nuser = x\r\n"}, want: named,
			after: map[string]string{"/pool.d/www.conf": "[www]\r\nuser = x\r\nenv[" + relative + "] = $" + relative + "\r\n"}},
		{name: "it is there", files: map[string]string{"pool.d/www.conf": "[www]\nenv[" + relative + "] = \"$" + relative + "\"\n"}, want: named},
		{name: "it is there, but wrong, in another file", files: map[string]string{"pool.d/www.conf": "[www]\nuser=x\n", "pool.d/zz.conf": "[www]\nenv[" + relative + "] = $AWS_TYPO\n"}, want: named,
			after: map[string]string{"/pool.d/zz.conf": "[www]\nenv[" + relative + "] = $" + relative + "\n"}},
		{name: "of two the first is in force", files: map[string]string{"pool.d/www.conf": "[www]\nenv[" + relative + "] = no-good\nenv[" + relative + "] = $" + relative + "\n"}, want: named,
			after: map[string]string{"/pool.d/www.conf": "[www]\nenv[" + relative + "] = $" + relative + "\nenv[" + relative + "] = $" + relative + "\n"}},
		{name: "all: the comment becomes the setting", files: map[string]string{"pool.d/www.conf": "[www]\nuser = x\n; clear_env = no\npm=x\n"}, want: Wanted{AllEnv: true},
			after: map[string]string{"/pool.d/www.conf": "[www]\nuser = x\nclear_env = no\npm=x\n"}},
		{name: "all: the one in force is changed", files: map[string]string{"pool.d/www.conf": "[www]\nclear_env = no\n", "pool.d/zz.conf": "clear_env = On ; safer\n"}, want: Wanted{AllEnv: true},
			after: map[string]string{"/pool.d/zz.conf": "clear_env = no\n"}},
		{name: "all: it is so", files: map[string]string{"pool.d/www.conf": "[www]\nclear_env = off\n"}, want: Wanted{AllEnv: true, Names: []string{relative}}},
		{name: "all, and a wrong line of its own", files: map[string]string{"pool.d/www.conf": "[www]\nclear_env = off\nenv[" + relative + "] = $TYPO\n"}, want: Wanted{AllEnv: true, Names: []string{relative}},
			after: map[string]string{"/pool.d/www.conf": "[www]\nclear_env = off\nenv[" + relative + "] = $" + relative + "\n"}},
		{name: "values are quoted", files: map[string]string{"pool.d/www.conf": "[www]\n"}, want: Wanted{Values: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": `http://127.0.0.1:1/?a=b&c;d "e\`}},
			after: map[string]string{"/pool.d/www.conf": "[www]\n" + `env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = "http://127.0.0.1:1/?a=b&c;d \"e\\"` + "\n"}},
		{name: "a name is hidden", files: map[string]string{"pool.d/www.conf": "[www]\nclear_env = no\n"}, want: Wanted{Hide: []string{relative}},
			after: map[string]string{"/pool.d/www.conf": "[www]\nclear_env = no\nenv[" + relative + "] = $ROLECALL_UNSET\n"}},
		{name: "the pool beside it stays", files: map[string]string{"pool.d/all.conf": "[app]\nuser = a\n[www]\nuser = b\n[zoo]\nuser = c\n"}, want: named,
			after: map[string]string{"/pool.d/all.conf": "[app]\nuser = a\n[www]\nuser = b\nenv[" + relative + "] = $" + relative + "\n[zoo]\nuser = c\n"}},
		{name: "a line that two pools share", files: map[string]string{"pool.d/all.conf": "[app]\ninclude=/common\n[www]\ninclude=/common\n", "common": "clear_env = yes\n"}, want: Wanted{AllEnv: true}, byHand: true},
		{name: "not the pool of the included file", files: map[string]string{"pool.d/all.conf": "[www]\ninclude=/other\n", "other": "[app]\nuser=x\n"}, want: named,
			after: map[string]string{"/pool.d/all.conf": "[www]\nenv[" + relative + "] = $" + relative + "\ninclude=/other\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.files["main.conf"] = main
			tree := inTree(t, tt.files)
			c, s := load(t, tree, "/main.conf")
			if len(s.Faults) > 0 {
				t.Fatal(s.Faults)
			}
			changes, err := Plan(c, s, s.Pool("www"), tt.want)
			if tt.byHand {
				if !errors.Is(err, ErrByHand) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) != len(tt.after) {
				t.Fatalf("%d changes, want %d", len(changes), len(tt.after))
			}
			for _, ch := range changes {
				if string(ch.After) != tt.after[ch.File] {
					t.Errorf("%s:\n%q, want\n%q", ch.File, ch.After, tt.after[ch.File])
				}
			}
			if _, err := Apply(t.Context(), tree, changes, time.Now(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			c, s = load(t, tree, "/main.conf")
			if again, err := Plan(c, s, s.Pool("www"), tt.want); err != nil || len(again) != 0 {
				t.Errorf("a second run changes %v, %v", again, err)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	c := Change{"/etc/x.conf", []byte("a\nb\nc\nd\ne\nf\n"), []byte("a\nb\nc\nD\nnew\ne\nf\n")}
	const want = "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -1,6 +1,7 @@\n a\n b\n c\n-d\n+D\n+new\n e\n f\n"
	if got := c.Diff(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What stands around a change may be secret: a diff leaves it out.
func TestDiffShowsNoSecret(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`env[DB_PASSWORD] = "hunter2"`:                                           `env[DB_PASSWORD] = …`,
		`;env[AWS_SECRET_ACCESS_KEY]=hunter2`:                                    `;env[AWS_SECRET_ACCESS_KEY]= …`,
		`php_admin_value[session.save_path] = "tcp://h?auth=hunter2"`:            `php_admin_value[session.save_path] = …`,
		`env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = "http://u:hunter2@127.0.0.1"`: `env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = …`,
		`env[X] = $X`:           `env[X] = $X`,
		`env[X] = "$X hunter2"`: `env[X] = …`,
		`env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = "http://127.0.0.1:4144/"`: `env[AWS_CONTAINER_CREDENTIALS_FULL_URI] = "http://127.0.0.1:4144/"`,
		`user = www-data`:  `user = www-data`,
		"clear_env = no\r": `clear_env = no`,
	} {
		for _, c := range []Change{
			{"/x", []byte(line + "\n"), []byte(line + "\nenv[A] = $A\n")},
			{"/x", []byte(line + "\n"), nil},
			{"/x", nil, []byte(line + "\n")},
		} {
			if got := c.Diff(); strings.Contains(got, "hunter2") || !strings.Contains(got, want+"\n") {
				t.Errorf("%s: want %q in\n%s", line, want, got)
			}
		}
	}
}

// fixed is a directory with a pool file, and what stands in it.
func TestApply(t *testing.T) {
	t.Parallel()
	fine := func(context.Context) error { return nil }
	one := func(t *testing.T, files map[string]string) (*Tree, []Change) {
		t.Helper()
		tree := inTree(t, files)
		c, s := load(t, tree, "/main.conf")
		changes, err := Plan(c, s, s.Pool("www"), Wanted{Names: []string{relative}})
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		return tree, changes
	}
	text := func(t *testing.T, tree *Tree, name string) string {
		t.Helper()
		b, err := os.ReadFile(tree.Outside(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	names := func(t *testing.T, tree *Tree, dir string) string {
		t.Helper()
		all, err := tree.names(dir)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	const main, pool = "[global]\ninclude=/d/*\n", "[www]\nuser = x\n"

	t.Run("mode, owner and backup", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no modes")
		}
		tree, changes := one(t, map[string]string{"main.conf": main, "d/www.conf": pool})
		file := tree.Outside("/d/www.conf")
		if err := os.Chmod(file, 0o640); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(file, 12, 34); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.Stat(file)
		done, err := Apply(t.Context(), tree, changes, time.Unix(1700000000, 0), fine)
		if err != nil || len(done) != 1 || done[0] != (Kept{"/d/www.conf", "/d/.www.conf.rolecall-20231114T221320.000000000"}) {
			t.Fatal(done, err)
		}
		for _, name := range []string{"/d/www.conf", done[0].Backup} {
			after, err := os.Stat(tree.Outside(name))
			if err != nil {
				t.Fatal(err)
			}
			if after.Mode() != before.Mode() || ownerOf(after) != ownerOf(before) {
				t.Errorf("%s: %v %s, want %v %s", name, after.Mode(), ownerOf(after), before.Mode(), ownerOf(before))
			}
		}
		if text(t, tree, done[0].Backup) != pool {
			t.Error("the backup is not the old file")
		}
		if c, s := load(t, tree, "/main.conf"); len(s.Files) != 2 {
			t.Errorf("the backup is part of the configuration: %v, %v", s.Files, c.Path)
		}
	})
	t.Run("the old file is back when the test fails", func(t *testing.T) {
		t.Parallel()
		tree, changes := one(t, map[string]string{"main.conf": main, "d/www.conf": pool})
		_, err := Apply(t.Context(), tree, changes, time.Now(), func(context.Context) error {
			if !strings.Contains(text(t, tree, "/d/www.conf"), relative) {
				t.Error("the test does not see the new file")
			}
			return &RefusedError{"no"}
		})
		var refused *RefusedError
		if !errors.As(err, &refused) || text(t, tree, "/d/www.conf") != pool || names(t, tree, "/d") != "www.conf" {
			t.Errorf("%v, %q, %s", err, text(t, tree, "/d/www.conf"), names(t, tree, "/d"))
		}
	})
	t.Run("an end in the middle", func(t *testing.T) {
		t.Parallel()
		tree, changes := one(t, map[string]string{"main.conf": main, "d/www.conf": pool})
		ctx, end := context.WithCancel(t.Context())
		kept, err := Apply(ctx, tree, changes, time.Now(), func(ctx context.Context) error {
			end()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || len(kept) != 0 || text(t, tree, "/d/www.conf") != pool || names(t, tree, "/d") != "www.conf" {
			t.Errorf("%v, %v, %q, %s", err, kept, text(t, tree, "/d/www.conf"), names(t, tree, "/d"))
		}
		if _, err := Apply(ctx, tree, changes, time.Now(), fine); !errors.Is(err, context.Canceled) || text(t, tree, "/d/www.conf") != pool {
			t.Errorf("after the end: %v", err)
		}
	})
	t.Run("another master's fix has changed it", func(t *testing.T) {
		t.Parallel()
		tree, changes := one(t, map[string]string{"main.conf": main, "d/www.conf": pool})
		for i, want := range []int{1, 0} {
			if kept, err := Apply(t.Context(), tree, changes, time.Now(), fine); err != nil || len(kept) != want {
				t.Errorf("run %d: %v, %v", i, kept, err)
			}
		}
	})
	t.Run("a link stays, and its target changes", func(t *testing.T) {
		t.Parallel()
		tree := inTree(t, map[string]string{"main.conf": main, "d/keep": "", "real/www one's.conf": pool})
		if err := os.Symlink("/real/www one's.conf", tree.Outside("/d/www.conf")); err != nil {
			t.Skip("this system has no links: ", err)
		}
		c, s := load(t, tree, "/main.conf")
		changes, err := Plan(c, s, s.Pool("www"), Wanted{AllEnv: true})
		if err != nil || len(changes) != 1 || changes[0].File != "/real/www one's.conf" {
			t.Fatal(changes, err)
		}
		if _, err := Apply(t.Context(), tree, changes, time.Now(), fine); err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink(tree.Outside("/d/www.conf")); err != nil || target != "/real/www one's.conf" {
			t.Errorf("the link is %q, %v", target, err)
		}
		if got := text(t, tree, "/real/www one's.conf"); got != "[www]\nuser = x\nclear_env = no\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("changed meanwhile", func(t *testing.T) {
		t.Parallel()
		tree, changes := one(t, map[string]string{"main.conf": main, "d/www.conf": pool})
		if err := os.WriteFile(tree.Outside("/d/www.conf"), []byte("[www]\nuser = y\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Apply(t.Context(), tree, changes, time.Now(), fine); err == nil || !strings.Contains(err.Error(), "was changed meanwhile") {
			t.Error(err)
		}
		if names(t, tree, "/d") != "www.conf" || !strings.Contains(text(t, tree, "/d/www.conf"), "user = y") {
			t.Error("the other's change is lost")
		}
	})
}

// A container's links lead to its own files, whatever they say.
func TestLinksStayInTheTree(t *testing.T) {
	t.Parallel()
	tree := inTree(t, map[string]string{"etc/main.conf": "[www]\nclear_env = no\n", "d/x": ""})
	for link, target := range map[string]string{"/d/absolute": "/etc/main.conf", "/d/up": "../../../../../etc/main.conf", "/d/loop": "/d/loop", "/d/dir": "/etc"} {
		if err := os.Symlink(target, tree.Outside(link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	for _, p := range []string{"/d/absolute", "/d/up", "/d/dir/main.conf"} {
		if b, err := tree.ReadFile(p, 100); err != nil || !strings.Contains(string(b), "clear_env") {
			t.Errorf("%s: %q, %v", p, b, err)
		}
	}
	if _, err := tree.ReadFile("/d/loop", 100); err == nil || !strings.Contains(err.Error(), "too many links") {
		t.Errorf("a loop: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	t.Run("10 MB", func(t *testing.T) {
		t.Parallel()
		big := "[www]\n" + strings.Repeat("; a comment of some length = 1\n", 10<<20/31) + "clear_env = no\n"
		tree := inTree(t, map[string]string{"f.conf": big})
		start := time.Now()
		_, s := load(t, tree, "/f.conf")
		if clear, by, _ := s.Pool("www").ClearEnv(); clear || by.Line != strings.Count(big, "\n") {
			t.Errorf("%v %v", clear, by)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s", took)
		} else {
			t.Logf("10 MB in %s", took)
		}
	})
	t.Run("one line of 10 MB", func(t *testing.T) {
		t.Parallel()
		tree := inTree(t, map[string]string{"f.conf": "[www]\nenv[A] = " + strings.Repeat("x", 10<<20) + "\nclear_env = no\n"})
		_, s := load(t, tree, "/f.conf")
		if clear, _, _ := s.Pool("www").ClearEnv(); clear {
			t.Error("what follows is lost")
		}
	})
	t.Run("larger than all reason", func(t *testing.T) {
		t.Parallel()
		tree := inTree(t, map[string]string{"f.conf": "[global]\ninclude=/d/*\n", "d/x": ""})
		if err := os.Truncate(tree.Outside("/d/x"), maxFile+1); err != nil {
			t.Fatal(err)
		}
		_, s := load(t, tree, "/f.conf")
		if len(s.Faults) != 1 || !strings.Contains(s.Faults[0].Text, "too large") {
			t.Error(s.Faults)
		}
	})
	t.Run("binary garbage", func(t *testing.T) {
		t.Parallel()
		b, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		tree := inTree(t, map[string]string{"f.conf": string(b[:min(len(b), 4<<20)])})
		_, s := load(t, tree, "/f.conf")
		if n := len(s.Faults); n == 0 || n > maxFaults {
			t.Errorf("%d faults", n)
		}
	})
	t.Run("no file", func(t *testing.T) {
		t.Parallel()
		tree := inTree(t, map[string]string{"d/x": ""})
		for _, p := range []string{"/none", "/d", "/d/x/y"} {
			if _, err := Load(Config{Path: p, Tree: tree}); err == nil {
				t.Errorf("%s: no error", p)
			}
		}
	})
	t.Run("includes that multiply", func(t *testing.T) {
		t.Parallel()
		files := map[string]string{"f.conf": "include=/d/*\n"}
		for i := range 40 {
			files[fmt.Sprintf("d/%d", i)] = "include=/d/*\n"
		}
		tree := inTree(t, files)
		_, s := load(t, tree, "/f.conf")
		if len(s.Faults) == 0 || len(s.Files) > 10 {
			t.Errorf("%d files, %v", len(s.Files), s.Faults)
		}
	})
}

func TestFixWithARealMaster(t *testing.T) {
	t.Parallel()
	binary := fpm.Binary(t)
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("all %v", all), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(fpm.Dir(t), "a 'b' c")
			fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + "include=\"{dir}/pool d/*.conf\"\n", "pool d/w.conf": fpm.Pool("www") + ";clear_env = no\n"})
			m := fpm.Start(t, fpm.Options{Conf: dir + "/f.conf", Env: []string{relative + "=/v2/credentials/x"}})
			found := Finder{}.Master(m.PID)
			if found == nil || found.Path != dir+"/f.conf" || found.Binary != binary || found.Elsewhere {
				t.Fatalf("%+v", found)
			}
			defer found.Tree.Close()
			c, s := load(t, found.Tree, found.Path)
			p := s.Pool("www")
			if v := look(t, found.Tree, p); v.Vars[relative].Set() {
				t.Fatal("it is seen before the fix")
			}
			changes, err := Plan(c, s, p, Wanted{Names: []string{relative}, AllEnv: all})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Apply(t.Context(), found.Tree, changes, time.Now(), Tester(found.Tree, binary, s)); err != nil {
				t.Fatal(err)
			}
			if err := (Finder{}).Reload(found); err != nil {
				t.Fatal(err)
			}
			if err := m.Ready(); err != nil {
				t.Fatal(err)
			}
			if v := look(t, found.Tree, p); !v.Vars[relative].Set() || v.Vars[relative].Value != "" {
				t.Errorf("after the fix: %+v", v.Vars)
			}
		})
	}
	t.Run("php-fpm refuses the file", func(t *testing.T) {
		t.Parallel()
		dir := fpm.Dir(t)
		fpm.Write(t, dir, map[string]string{"f.conf": "[global]\nerror_log={dir}/log\n" + fpm.Pool("www")})
		tree, err := OpenTree("")
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		_, s := load(t, tree, dir+"/f.conf")
		held, _ := os.ReadFile(dir + "/f.conf")
		_, err = Apply(t.Context(), tree, []Change{{dir + "/f.conf", held, append(held, "nonsense = 1\n"...)}}, time.Now(), Tester(tree, binary, s))
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(refused.Output, "unknown entry 'nonsense'") {
			t.Error(err)
		}
		if after, _ := os.ReadFile(dir + "/f.conf"); string(after) != string(held) {
			t.Error("the old file is not back")
		}
	})
}
