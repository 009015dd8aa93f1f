package phpfpm

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each distribution's files, as its packages and images lay them out: what is
// found, and what is in force before anybody changes anything.
func TestLayouts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dir, main, name, prefix string
		clear                   bool
		by                      string // of clear_env, or of the line that is commented out
		network, address, user  string
		files                   int
	}{
		{"debian", "/etc/php/8.2/fpm/php-fpm.conf", "Debian", "/usr", true, "/etc/php/8.2/fpm/pool.d/www.conf:14", "unix", "/run/php/php8.2-fpm.sock", "www-data", 2},
		{"docker", "/usr/local/etc/php-fpm.conf", "official Docker image", "/usr/local", false, "/usr/local/etc/php-fpm.d/docker.conf:8", "tcp", "127.0.0.1:9000", "www-data", 4},
		{"alpine", "/etc/php83/php-fpm.conf", "Alpine", "/usr", true, "/etc/php83/php-fpm.d/www.conf:10", "tcp", "127.0.0.1:9000", "nobody", 2},
		{"rhel", "/etc/php-fpm.conf", "RHEL", "/usr", true, "/etc/php-fpm.d/www.conf:13", "unix", "/run/php-fpm/www.sock", "apache", 2},
		{"remi", "/etc/opt/remi/php82/php-fpm.conf", "Remi", "/opt/remi/php82/root/usr", true, "/etc/opt/remi/php82/php-fpm.d/www.conf:13", "unix", "/var/opt/remi/php82/run/php-fpm/www.sock", "apache", 2},
	} {
		t.Run(tt.dir, func(t *testing.T) {
			t.Parallel()
			tree := layout(t, tt.dir)
			if found := FindMain(tree); len(found) != 1 || found[0] != tt.main {
				t.Fatalf("found %v", found)
			}
			_, s := load(t, tree, tt.main)
			if l, _ := LayoutOf(tt.main); l.Name != tt.name || s.Prefix != tt.prefix || len(s.Files) != tt.files || len(s.Faults)+len(s.Incomplete()) > 0 {
				t.Errorf("%+v, %s, %v, %v", l, s.Prefix, s.Files, s.Faults)
			}
			p := s.Pool("www")
			clear, by, set := p.ClearEnv()
			if !set {
				for _, c := range p.Comments {
					if c.Name == "clear_env" {
						by = c
					}
				}
			}
			if clear != tt.clear || set == tt.clear || by.Place.String() != tt.by {
				t.Errorf("clear_env %v, set %v, at %s", clear, set, by.Place)
			}
			if n, a := p.Listen(); n != tt.network || a != tt.address || p.Value("user") != tt.user {
				t.Errorf("%s %s %s", n, a, p.Value("user"))
			}
		})
	}
}

// layout is a distribution's file system, in a directory of its own.
func layout(t testing.TB, name string) *Tree {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join("testdata", "layouts", name)
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(p, from))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}

func TestListen(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"9000": "tcp 127.0.0.1:9000", "127.0.0.1:9000": "tcp 127.0.0.1:9000", "0.0.0.0:9000": "tcp 127.0.0.1:9000", "*:9000": "tcp 127.0.0.1:9000",
		"[::]:9000": "tcp [::1]:9000", "[::1]:9000": "tcp [::1]:9000", "10.0.0.1:9": "tcp 10.0.0.1:9", "/run/x.sock": "unix /run/x.sock",
		"run/x.sock": "unix /usr/run/x.sock", "/run/$pool.sock": "unix /run/www.sock",
	} {
		p := &Pool{Name: "www", Prefix: "/usr", Settings: []Setting{{Name: "listen", Value: value}}}
		if n, a := p.Listen(); n+" "+a != want {
			t.Errorf("%s: %s %s, want %s", value, n, a, want)
		}
	}
}

func TestReadUnit(t *testing.T) {
	t.Parallel()
	tree := layout(t, "debian")
	u := ReadUnit(tree, "php8.2-fpm.service")
	if u == nil || len(u.Environment) != 0 || argument(u.Start, "-y", "--fpm-config") != "/etc/php/8.2/fpm/php-fpm.conf" {
		t.Fatalf("%+v", u)
	}
	for name, text := range map[string]string{
		"/etc/systemd/system/php8.2-fpm.service.d/10-aws.conf":  "[Service]\nEnvironment=A=1 \"B=two words\" C='3'\nEnvironment=D=4\nEnvironmentFile=-/etc/none\nEnvironmentFile=/etc/fpm.env\nUnsetEnvironment=D\n",
		"/etc/systemd/system/php8.2-fpm.service.d/20-pass.conf": "[Service]\nPassEnvironment=X Y\n# Environment=E=5\n[Install]\nEnvironment=F=6\n",
		"/etc/fpm.env": "# comment\nA=9\nG=\"quoted\"\n\nH=1=2\n",
	} {
		if err := os.MkdirAll(filepath.Dir(tree.Outside(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(tree.Outside(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u = ReadUnit(tree, "php8.2-fpm.service")
	for k, v := range map[string]string{"A": "9", "B": "two words", "C": "3", "D": "", "E": "", "F": "", "G": "quoted", "H": "1=2"} {
		if u.Environment[k] != v {
			t.Errorf("%s = %q, want %q", k, u.Environment[k], v)
		}
	}
	if strings.Join(u.Pass, " ") != "X Y" || len(u.Notes) != 0 || len(u.Files) != 3 {
		t.Errorf("%+v", u)
	}
	for _, none := range []string{"x.service", "../x", ""} {
		if ReadUnit(tree, none) != nil {
			t.Errorf("%q is there", none)
		}
	}
}
