//go:build linux

package diagnosis

import (
	"os"
	"testing"

	"rolecall/test/fpm"
)

func healthyPHP() []Case {
	named := "env[" + phpRelative + "] = $" + phpRelative
	www := func(lines ...string) map[string]string {
		return map[string]string{"pool.d/www.conf": pool("www", lines...)}
	}
	return []Case{
		{"the variable is given on by name", "", fpmSimple(named)},
		{"clear_env = no", "", fpmSimple("clear_env = no")},
		{"clear_env = Off, with a comment", "", fpmSimple("clear_env = Off ; for ECS")},
		{"the official image as it comes", "", fpmWith(map[string]string{
			"php-fpm.conf":               fpm.Global + "include={dir}/php-fpm.d/*.conf\n",
			"php-fpm.d/docker.conf":      "[global]\n[www]\nclear_env = no\n",
			"php-fpm.d/www.conf":         pool("www", ";clear_env = no"),
			"php-fpm.d/www.conf.default": "[www]\n;clear_env = no\n",
			"php-fpm.d/zz-docker.conf":   "[global]\ndaemonize = no\n\n[www]\npm.max_requests = 100\n"}, phpRelative+"="+secretPath)},
		{"nobody gives a variable: an instance with a role", "", fpmWith(www())},
		{"a URL and its token file", "", func(s *Site) {
			tokenSite(s, nil, func(f string) { fpmWrite(s.T, f, "0123456789abcdef", 0o644) })
		}},
		{"a named URL and a named token file", "", func(s *Site) {
			p := &phpSite{files: www("env["+phpFull+"] = $"+phpFull, "env["+phpTokenFile+"] = $"+phpTokenFile), env: fpmEnv(phpFull+"="+s.Serve("--load", "fake").URL+"/", phpTokenFile+"={dir}/token")}
			p.start(s)
			fpmWrite(s.T, p.dir+"/token", "0123456789abcdef", 0o644)
		}},
		{"static keys, given on as a pair", "", fpmWith(www("env[AWS_ACCESS_KEY_ID] = $AWS_ACCESS_KEY_ID", "env[AWS_SECRET_ACCESS_KEY] = $AWS_SECRET_ACCESS_KEY"),
			"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-to-be-shown")},
		{"three pools, each with its line", "", fpmWith(map[string]string{"pool.d/a.conf": pool("a", named), "pool.d/b.conf": pool("b", named), "pool.d/c.conf": pool("c", "clear_env=0")}, phpRelative+"="+secretPath)},
		{"a pool that listens on TCP, as the official image does", "", func(s *Site) {
			fpmWith(www("clear_env = no", "listen = "+fpmClosedPort(s.T)), phpRelative+"="+secretPath)(s)
		}},
		{"a pool on TCP that lets only its web server in", "", func(s *Site) {
			fpmWith(www("clear_env = no", "listen = "+fpmClosedPort(s.T), "listen.allowed_clients = 192.0.2.1"), phpRelative+"="+secretPath)(s)
		}},
		{"a stale relative URI that the pool hides", "", func(s *Site) {
			fpmWith(www("clear_env = no", "env["+phpFull+"] = \""+s.Serve("--load", "fake", "--auth", "none").URL+"/\"", "env["+phpRelative+"] = $ROLECALL_UNSET"), phpRelative+"="+secretPath)(s)
		}},
		{"optional names that nobody has", "", fpmSimple(named, "env[AWS_PROFILE] = $AWS_PROFILE", "env["+phpTokenFile+"] = $"+phpTokenFile)},
		{"directories with blanks and quotation marks", "", fpmWith(map[string]string{
			"php-fpm.conf": fpm.Global + "include=\"{dir}/it's a pool/*.conf\"\n", "it's a pool/w w.conf": pool("www", named)}, phpRelative+"="+secretPath)},
		{"nginx, cron, supervisord and a service that hand it on", "", func(s *Site) {
			fpmAround(map[string]string{
				"nginx/sites-enabled/default":  "server {\n  root {dir}/app/public;\n  location ~ \\.php$ {\n    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n    fastcgi_param HTTPS $https if_not_empty;\n  }\n}\n",
				"cron.d/app":                   "* * * * * root . /run/container.env; php /srv/app/artisan schedule:run\n",
				"supervisor/conf.d/app.conf":   "[program:queue]\ncommand=php artisan queue:work\nuser=www-data\nenvironment=APP_ENV=\"prod\"\n",
				"systemd/system/queue.service": "[Service]\nEnvironment=" + phpFull + "=http://127.0.0.1:4144/\nExecStart=/usr/bin/php artisan queue:work\n"})(s)
		}},
		{"a pool that doctor has put right", "", func(s *Site) {
			if os.Geteuid() != 0 {
				s.T.Skip("only root may change what another user's php-fpm reads")
			}
			fpmSimple(";clear_env = no")(s)
			args := s.Args
			s.Args = append(append([]string{}, args...), "--fix", "--yes")
			if a := s.Diagnose(); !a.Healthy {
				s.T.Fatalf("the fix: %s%s", a.Stdout, a.Stderr)
			}
			s.Args = args
		}},
	}
}

func TestHealthyPHP(t *testing.T) {
	for _, c := range healthyPHP() {
		Try(t, c)
	}
}
