package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"rolecall/internal/phpfpm"
)

func TestCommandLinesTellNoValues(t *testing.T) {
	for line, want := range map[string]string{
		"* * * * * php artisan":                              "* * * * * php artisan",
		"* * * * * AWS_SECRET_ACCESS_KEY=abc/+= php artisan": "* * * * * AWS_SECRET_ACCESS_KEY=… php artisan",
		`env -i TOKEN="a b" KEY='c d' php-fpm --x=y`:         "env -i TOKEN=… KEY=… php-fpm --x=…",
	} {
		if got := masked(line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// A service that came with a package says nothing where no systemd runs, as in
// containers; one that somebody wrote does.
func TestPackagedServiceWithoutSystemd(t *testing.T) {
	t.Parallel()
	const packaged, own, running = "lib/systemd/system/php8.2-fpm.service", "etc/systemd/system/queue.service", "run/systemd/system/x"
	for name, tt := range map[string]struct {
		files []string
		want  int
	}{
		"no systemd":                  {[]string{packaged}, 0},
		"systemd":                     {[]string{packaged, running}, 1},
		"no systemd, and one's own":   {[]string{packaged, own}, 1},
		"systemd, with one's own too": {[]string{packaged, own, running}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range tt.files {
				f = filepath.Join(dir, filepath.FromSlash(f))
				if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, []byte("[Service]\nExecStart=/usr/sbin/php-fpm8.2 --nodaemonize\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			tree, err := phpfpm.OpenTree(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tree.Close() }()
			s := &PHPFPM{config: PHPFPMConfig{Tree: tree, Finder: phpfpm.Finder{Proc: t.TempDir()}, Environ: map[string]string{varRelative: "/x"}}}
			if got := s.systemd(); len(got) != tt.want {
				t.Errorf("%d, want %d: %+v", len(got), tt.want, got)
			}
		})
	}
}
