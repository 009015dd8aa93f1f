//go:build linux

package diagnosis

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rolecall/test/fpm"
)

const (
	phpRelative  = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	phpFull      = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	phpTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

	// secretPath is all that one needs for the keys of a container's role.
	secretPath = "/v2/credentials/5e1fd0c7-not-to-be-shown"
)

// phpSite is a master of PHP-FPM with files of its own.
type phpSite struct {
	files map[string]string // below {dir}; the main file is php-fpm.conf, made when missing
	env   []string          // of the container: what starts php-fpm
	wrap  []string          // stands between the two
	etc   map[string]string // laid over /etc, for doctor alone
	dead  bool              // php-fpm is not started
	args  []string          // of doctor

	dir    string
	master *fpm.Master
}

// include is a main file as distributions have it.
const include = fpm.Global + "include={dir}/pool.d/*.conf\n"

// start starts php-fpm as the site says, and has doctor look at it.
func (p *phpSite) start(s *Site) {
	s.T.Helper()
	binary := fpm.Binary(s.T)
	p.dir = fpm.Dir(s.T)
	if p.files["php-fpm.conf"] == "" {
		p.files["php-fpm.conf"] = include
	}
	fpm.Write(s.T, p.dir, p.files)
	for i := range p.env {
		p.env[i] = fpm.Fill(p.dir, p.env[i])
	}
	if !p.dead {
		p.master = fpm.Start(s.T, fpm.Options{Conf: p.dir + "/php-fpm.conf", Env: p.env, Wrap: p.wrap})
	}
	s.Secret = append(s.Secret, secretPath)
	s.Args = append([]string{"php-fpm", "--fpm-config", p.dir + "/php-fpm.conf", "--binary", binary}, p.args...)
	if len(p.etc) > 0 {
		s.Prefix = overEtc(s.T, p.dir, p.etc)
	}
}

// overEtc runs a command with files laid over a copy of /etc, in a mount
// namespace of its own.
func overEtc(t *testing.T, dir string, files map[string]string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may lay files over /etc, in a mount namespace")
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets root make no mount namespace: %s", out)
	}
	etc := dir + "/etc"
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, d := range []string{"nginx", "cron.d", "crontab", "supervisor", "apache2"} {
		if err := os.RemoveAll(filepath.Join(etc, d)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		fpm.Write(t, etc, map[string]string{name: strings.ReplaceAll(text, "{dir}", dir)})
	}
	return []string{"unshare", "-m", "sh", "-c", fmt.Sprintf(`mount --bind %s /etc && exec "$@"`, etc), "sh"}
}

// pool is a pool of Debian's layout, with a line for the environment.
func pool(name string, lines ...string) string {
	return fpm.Pool(name) + strings.Join(lines, "\n") + "\n"
}

// ask fetches a PHP script over FastCGI, as a web server does.
func fpmEnv(lines ...string) []string { return lines }
