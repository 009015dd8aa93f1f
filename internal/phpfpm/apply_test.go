package phpfpm

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

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
