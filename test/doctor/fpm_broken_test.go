//go:build linux

package diagnosis

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rolecall/test/fpm"
)

// tokenSite is a pool that is given a URL and a token file.
func tokenSite(s *Site, lines []string, file func(path string)) *phpSite {
	p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www", append([]string{"clear_env = no"}, lines...)...)},
		env: fpmEnv(phpFull+"="+s.Serve("--load", "fake").URL+"/", phpTokenFile+"={dir}/a dir/token")}
	p.start(s)
	if err := os.MkdirAll(p.dir+"/a dir", 0o755); err != nil {
		s.T.Fatal(err)
	}
	file(p.dir + "/a dir/token")
	return p
}

func fpmWrite(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// simple is a set-up of a container whose first process has the URI, and whose
// pool www has these lines.
func fpmSimple(lines ...string) func(*Site) {
	return fpmWith(map[string]string{"pool.d/www.conf": pool("www", lines...)}, phpRelative+"="+secretPath)
}

func fpmWith(files map[string]string, environ ...string) func(*Site) {
	return func(s *Site) {
		copied := map[string]string{}
		for k, v := range files {
			copied[k] = v
		}
		(&phpSite{files: copied, env: append([]string{}, environ...)}).start(s)
	}
}

// around is a machine whose php-fpm is fine, with files in /etc.
func fpmAround(etc map[string]string) func(*Site) {
	return func(s *Site) {
		(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "clear_env = no"), "app/artisan": "#!/usr/bin/env php\n", "app/public/index.php": "<?php\n",
			"cached/artisan": "", "cached/bootstrap/cache/config.php": cachedConfig}, env: fpmEnv(phpRelative + "=" + secretPath), etc: etc}).start(s)
	}
}

const cachedConfig = `<?php return array (
  'filesystems' =>
  array (
    'disks' =>
    array (
      's3' =>
      array (
        'driver' => 's3',
        'key' => '',
        'secret' => '',
        'region' => 'eu-west-1',
      ),
    ),
  ),
);
`

func brokenPHP() []Case {
	named := "env[" + phpRelative + "] = $" + phpRelative
	return []Case{
		{"Debian's pool as it comes: clear_env commented out", "php-fpm.clear-env", fpmSimple("; Default Value: yes", ";clear_env = no")},
		{"a pool without a word about clear_env", "php-fpm.clear-env", fpmSimple()},
		{"php-fpm is pid 1 of its container, whose environment nobody else has", "php-fpm.clear-env", func(s *Site) {
			rootOnly(s)
			if out, err := exec.Command("unshare", "-pfm", "--mount-proc", "true").CombinedOutput(); err != nil {
				s.T.Skipf("this machine lets root make no pid namespace: %s", out)
			}
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www", ";clear_env = no")}, env: fpmEnv(phpRelative + "=" + secretPath),
				wrap: []string{"unshare", "-pfm", "--mount-proc", "--kill-child"}}
			p.start(s)
			child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.master.PID, p.master.PID))
			if err != nil {
				s.T.Skip("this kernel does not tell a process's children: ", err)
			}
			s.Prefix = []string{"nsenter", "-t", strings.TrimSpace(string(child)), "-p", "-m"} // as docker exec
			s.Set(phpRelative + "=" + secretPath)
		}},
		{"clear_env = on", "php-fpm.clear-env", fpmSimple("clear_env = On")},
		{"the official image, with a later file that says yes", "php-fpm.clear-env-again", fpmWith(map[string]string{
			"php-fpm.conf":           fpm.Global + "include={dir}/php-fpm.d/*.conf\n",
			"php-fpm.d/docker.conf":  "[global]\n\n[www]\n; if we send this to /proc/self/fd/1, it never appears\naccess.log = /dev/null\nclear_env = no\ncatch_workers_output = yes\n",
			"php-fpm.d/www.conf":     pool("www"),
			"php-fpm.d/zz-hard.conf": "[www]\nclear_env = yes\n"}, phpRelative+"="+secretPath)},
		{"the official image, with a pool that is not called www", "php-fpm.other-pool", fpmWith(map[string]string{
			"php-fpm.conf":          fpm.Global + "include={dir}/php-fpm.d/*.conf\n",
			"php-fpm.d/app.conf":    pool("app"),
			"php-fpm.d/docker.conf": "[www]\nclear_env = no\n", "php-fpm.d/www.conf": pool("www")}, phpRelative+"="+secretPath)},
		{"the line stands in a file that no include reads", "php-fpm.not-included", fpmWith(map[string]string{
			"pool.d/www.conf": pool("www"), "pool.d/www.conf.local": "[www]\n" + named + "\n"}, phpRelative+"="+secretPath)},
		{"env takes its value from a name that is misspelled", "php-fpm.env-typo", fpmSimple("env[" + phpRelative + "] = $AWS_CONTAINER_CREDENTIAL_RELATIVE_URI")},
		{"env without the $", "php-fpm.env-literal", fpmSimple("env[" + phpRelative + "] = " + phpRelative)},
		{"env with the name in percent signs", "php-fpm.env-literal", fpmSimple("env[" + phpRelative + `] = "%` + phpRelative + `%"`)},
		{"env of a name that is misspelled", "php-fpm.env-misspelled", fpmSimple("env[AWS_CONTAINER_CREDENTIALS_RELATIVE_URL] = $" + phpRelative)},
		{"an entrypoint with env -i", "php-fpm.starter-drops", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", named)}, env: fpmEnv(phpRelative + "=" + secretPath), wrap: []string{"env", "-i"}}).start(s)
		}},
		{"an entrypoint that unsets it, and clear_env = no", "php-fpm.starter-drops", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, env: fpmEnv(phpRelative + "=" + secretPath), wrap: []string{"env", "-u", phpRelative}}).start(s)
		}},
		{"env of a variable that nobody has", "php-fpm.env-unset", fpmWith(map[string]string{"pool.d/www.conf": pool("www", named)})},
		{"only the shell of the person has it", "php-fpm.not-given", func(s *Site) {
			fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")})(s)
			s.Set(phpRelative + "=" + secretPath)
		}},
		{"the line is there, and php-fpm was not reloaded", "php-fpm.not-reloaded", func(s *Site) {
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www")}, env: fpmEnv(phpRelative + "=" + secretPath)}
			p.start(s)
			fpm.Write(s.T, p.dir, map[string]string{"pool.d/www.conf": pool("www", named)})
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(p.dir+"/pool.d/www.conf", later, later); err != nil {
				s.T.Fatal(err)
			}
		}},
		{"the URL is given on, and the token file's name is not", "php-fpm.token-not-passed", func(s *Site) {
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "env["+phpFull+"] = $"+phpFull)}, env: fpmEnv(phpFull+"="+s.Serve("--load", "fake").URL+"/", phpTokenFile+"={dir}/token")}
			p.start(s)
			fpmWrite(s.T, p.dir+"/token", "0123456789abcdef", 0o644)
		}},
		{"the token file is root's alone", "php-fpm.token-file-unreadable", func(s *Site) {
			rootOnly(s)
			tokenSite(s, nil, func(f string) { fpmWrite(s.T, f, "0123456789abcdef", 0o600) })
		}},
		{"the token file's directory is root's alone", "php-fpm.token-file-unreadable", func(s *Site) {
			rootOnly(s)
			p := tokenSite(s, nil, func(f string) { fpmWrite(s.T, f, "0123456789abcdef", 0o644) })
			if err := os.Chmod(p.dir+"/a dir", 0o700); err != nil {
				s.T.Fatal(err)
			}
		}},
		{"a line break at the end of the token file", "php-fpm.token-file-newline", func(s *Site) {
			tokenSite(s, nil, func(f string) { fpmWrite(s.T, f, "0123456789abcdef\n", 0o644) })
		}},
		{"an empty token file", "php-fpm.token-file-empty", func(s *Site) {
			tokenSite(s, nil, func(f string) { fpmWrite(s.T, f, "", 0o644) })
		}},
		{"no token file", "php-fpm.token-file-missing", func(s *Site) { tokenSite(s, nil, func(string) {}) }},
		{"open_basedir keeps PHP from the token file", "php-fpm.open-basedir", func(s *Site) {
			tokenSite(s, []string{"php_admin_value[open_basedir] = /tmp/.rolecall-none:/var/tmp"}, func(f string) { fpmWrite(s.T, f, "0123456789abcdef", 0o644) })
		}},
		{"the URL's host is none that the SDK asks", "php-fpm.full-uri-host", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, phpFull+"=http://192.0.2.1:4144/")},
		{"the URL has quotation marks, as an env file of docker leaves them", "php-fpm.full-uri", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, phpFull+`="http://127.0.0.1:4144/"`)},
		{"nobody listens at the URL", "php-fpm.endpoint-silent", func(s *Site) {
			fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, phpFull+"=http://"+fpmClosedPort(s.T)+"/")(s)
		}},
		{"a stale relative URI hides the URL", "php-fpm.relative-hides-full", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, phpFull+"=http://127.0.0.1:4144/", phpRelative+"="+secretPath)},
		{"the relative URI has quotation marks", "php-fpm.relative-uri", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, phpRelative+`="`+secretPath+`"`)},
		{"a key without its secret", "php-fpm.half-key", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE")},
		{"temporary keys without their session token", "php-fpm.no-session-token", func(s *Site) {
			fpmWith(map[string]string{"pool.d/www.conf": pool("www", "env[AWS_ACCESS_KEY_ID] = ASIAEXAMPLE", "env[AWS_SECRET_ACCESS_KEY] = not-to-be-shown")})(s)
			s.Secret = append(s.Secret, "ASIAEXAMPLE", "not-to-be-shown")
		}},
		{"metadata turned off, and nothing else", "php-fpm.no-source", fpmWith(map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}, "AWS_EC2_METADATA_DISABLED=true")},
		{"getenv disabled", "php-fpm.getenv-disabled", fpmSimple(named, "php_admin_value[disable_functions] = exec,getenv,system")},
		{"a file sorted first, without a section", "php-fpm.misplaced", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www"), "pool.d/00-env.conf": "clear_env = no\n"}, dead: true}).start(s)
		}},
		{"a pool's name misspelled in a second file", "php-fpm.pool-name", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www"), "pool.d/zz.conf": "[wwww]\nclear_env = no\n"}, dead: true}).start(s)
		}},
		{"an include that matches no file", "php-fpm.configuration", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.cnf": pool("www")}, dead: true}).start(s)
		}},
		{"files that include each other", "php-fpm.include-cycle", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www") + "include={dir}/pool.d/*.conf\n"}, dead: true}).start(s)
		}},
		{"env with an empty value", "php-fpm.env-empty", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "env["+phpRelative+"] =")}, dead: true}).start(s)
		}},
		{"clear_env = nope", "php-fpm.configuration", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "clear_env = nope")}, dead: true}).start(s)
		}},
		{"binary garbage in a pool file", "php-fpm.configuration", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www"), "pool.d/x.conf": "\x7fELF\x02\x01=\x01\n\xff\xfe[\x00=\x00\n"}, dead: true}).start(s)
		}},
		{"no such configuration", "php-fpm.unreadable", func(s *Site) {
			s.Args = []string{"php-fpm", "--fpm-config", s.Home + "/none.conf"}
		}},
		{"the socket was removed", "php-fpm.no-socket", func(s *Site) {
			p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}}
			p.start(s)
			if err := os.Remove(p.dir + "/www.sock"); err != nil {
				s.T.Fatal(err)
			}
		}},
		{"something else answers at the pool's address", "php-fpm.nonsense", func(s *Site) {
			l := takenOver(s)
			server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
			go func() { _ = server.Serve(l) }()
			s.T.Cleanup(func() { _ = server.Close() })
		}},
		{"something closes the connection at once", "php-fpm.nonsense", func(s *Site) {
			l := takenOver(s)
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					_ = c.Close()
				}
			}()
		}},
		{"somebody listens and never answers", "php-fpm.no-answer", func(s *Site) {
			takenOver(s)
		}},
		{"nginx hands PHP an empty variable", "nginx.empty-param", fpmAround(map[string]string{
			"nginx/sites-enabled/default": "server {\n  root {dir}/app/public;\n  location ~ \\.php$ {\n    include fastcgi_params;\n    fastcgi_param " + phpRelative + " \"\";\n    fastcgi_pass unix:{dir}/www.sock;\n  }\n}\n"})},
		{"cron's own environment", "cron.environment", fpmAround(map[string]string{"cron.d/app": "SHELL=/bin/sh\n* * * * * www-data cd {dir}/app && php artisan schedule:run >> /dev/null 2>&1\n"})},
		{"supervisord starts the workers with su -", "supervisord.command", fpmAround(map[string]string{
			"supervisor/conf.d/app.conf": "[program:queue]\ncommand=su - www-data -c 'php {dir}/app/artisan queue:work'\n"})},
		{"supervisord sets it empty", "supervisord.environment", fpmAround(map[string]string{
			"supervisor/conf.d/app.conf": "[program:queue]\ncommand=php {dir}/app/artisan queue:work\nenvironment=APP_ENV=\"prod\"," + phpRelative + "=\"\"\n"})},
		{"Apache's envvars takes it away from mod_php", "apache.envvars", fpmAround(map[string]string{
			"apache2/mods-enabled/php8.2.load": "LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so\n", "apache2/envvars": "unset HOME\nunset " + phpRelative + "\n"})},
		{"a service of queue workers without Environment=", "systemd.no-environment", func(s *Site) {
			(&phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "env["+phpFull+"] = http://localhost:"+s.Serve("--load", "fake", "--auth", "none").Addr()[len("127.0.0.1:"):]+"/")},
				etc: map[string]string{"systemd/system/queue.service": "[Service]\nExecStart=/usr/bin/php /srv/app/artisan queue:work\n[Install]\nWantedBy=multi-user.target\n"}}).start(s)
			s.Set(phpFull + "=http://127.0.0.1:4144/")
		}},
		{"Laravel's cached configuration has empty keys", "laravel.empty-keys", fpmAround(map[string]string{"nginx/sites-enabled/default": "server {\n  root {dir}/cached/public;\n}\n"})},
	}
}

func rootOnly(s *Site) {
	if os.Geteuid() != 0 {
		s.T.Skip("only root can keep a file from the pool's user")
	}
}

// closedPort is host:port of loopback where nobody listens.
func fpmClosedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestBrokenPHP(t *testing.T) {
	for _, c := range brokenPHP() {
		Try(t, c)
	}
}

// takenOver is a healthy pool's socket, where another program listens.
func takenOver(s *Site) net.Listener {
	p := &phpSite{files: map[string]string{"pool.d/www.conf": pool("www", "clear_env = no")}}
	p.start(s)
	if err := os.Remove(p.dir + "/www.sock"); err != nil {
		s.T.Fatal(err)
	}
	l, err := net.Listen("unix", p.dir+"/www.sock")
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() { _ = l.Close() })
	return l
}
