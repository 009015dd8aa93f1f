package phpfpm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Pools of one file are planned in one go, each by its own lines.
func TestPlanAll(t *testing.T) {
	t.Parallel()
	tree := inTree(t, map[string]string{"main.conf": "[global]\ninclude=/d/*\n",
		"d/a": "[one]\nuser = x\n[two]\n;clear_env = no\nenv[B] = 1\n[three]\nuser = z\n", "d/b": "[two]\nuser = y\nenv[A] = $C\n[four]\n"})
	c := Config{Path: "/main.conf", Tree: tree}
	changes, err := PlanAll(c, map[string]Wanted{"one": {Names: []string{"A"}}, "two": {AllEnv: true, Names: []string{"A"}}, "four": {Values: map[string]string{"V": `a"b`}}})
	if err != nil || len(changes) != 2 {
		t.Fatal(changes, err)
	}
	want := map[string]string{
		"/d/a": "[one]\nuser = x\nenv[A] = $A\n[two]\nclear_env = no\nenv[B] = 1\n[three]\nuser = z\n",
		"/d/b": "[two]\nuser = y\nenv[A] = $A\n[four]\nenv[V] = \"a\\\"b\"\n",
	}
	for _, ch := range changes {
		if string(ch.After) != want[ch.File] {
			t.Errorf("%s:\n%s", ch.File, ch.After)
		}
	}
	if _, err := PlanAll(c, map[string]Wanted{"none": {}}); err == nil || !strings.Contains(err.Error(), "there is no pool none") {
		t.Error(err)
	}
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
