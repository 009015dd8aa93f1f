//go:build linux

package diagnosis

import (
	"os"
	"testing"

	"rolecall/test/fpm"
)

func healthyPHP() []Case {
	named := "env[" + uri + "] = $" + uri
	www := func(lines ...string) map[string]string {
		return map[string]string{"pool.d/www.conf": pool("www", lines...)}
	}
	return []Case{
		{"the variable is given on by name", "", simple(named)},
		{"clear_env = no", "", simple("clear_env = no")},
		{"clear_env = Off, with a comment", "", simple("clear_env = Off ; for ECS")},
		{"the official image as it comes", "", with(map[string]string{
			"php-fpm.conf":               fpm.Global + "include={dir}/php-fpm.d/*.conf\n",
			"php-fpm.d/docker.conf":      "[global]\n[www]\nclear_env = no\n",
			"php-fpm.d/www.conf":         pool("www", ";clear_env = no"),
			"php-fpm.d/www.conf.default": "[www]\n;clear_env = no\n",
			"php-fpm.d/zz-docker.conf":   "[global]\ndaemonize = no\n\n[www]\npm.max_requests = 100\n"}, uri+"="+secretPath)},
		{"nobody gives a variable: an instance with a role", "", with(www())},
		{"a URL and its token file", "", func(s *Site) {
			tokenSite(s, nil, func(f string) { write(s.T, f, "0123456789abcdef", 0o644) })
		}},
		{"a named URL and a named token file", "", func(s *Site) {
			p := &phpSite{files: www("env["+full+"] = $"+full, "env["+tokenEnv+"] = $"+tokenEnv), env: env(full+"="+s.Serve("--load", "fake").URL+"/", tokenEnv+"={dir}/token")}
			p.start(s)
			write(s.T, p.dir+"/token", "0123456789abcdef", 0o644)
		}},
		{"static keys, given on as a pair", "", with(www("env[AWS_ACCESS_KEY_ID] = $AWS_ACCESS_KEY_ID", "env[AWS_SECRET_ACCESS_KEY] = $AWS_SECRET_ACCESS_KEY"),
			"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=not-to-be-shown")},
		{"three pools, each with its line", "", with(map[string]string{"pool.d/a.conf": pool("a", named), "pool.d/b.conf": pool("b", named), "pool.d/c.conf": pool("c", "clear_env=0")}, uri+"="+secretPath)},
		{"a stale relative URI that the pool hides", "", func(s *Site) {
			with(www("clear_env = no", "env["+full+"] = \""+s.Serve("--load", "fake", "--auth", "none").URL+"/\"", "env["+uri+"] = $ROLECALL_UNSET"), uri+"="+secretPath)(s)
		}},
		{"optional names that nobody has", "", simple(named, "env[AWS_PROFILE] = $AWS_PROFILE", "env["+tokenEnv+"] = $"+tokenEnv)},
		{"directories with blanks and quotation marks", "", with(map[string]string{
			"php-fpm.conf": fpm.Global + "include=\"{dir}/it's a pool/*.conf\"\n", "it's a pool/w w.conf": pool("www", named)}, uri+"="+secretPath)},
		{"nginx, cron, supervisord and a service that hand it on", "", func(s *Site) {
			around(map[string]string{
				"nginx/sites-enabled/default":  "server {\n  root {dir}/app/public;\n  location ~ \\.php$ {\n    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n    fastcgi_param HTTPS $https if_not_empty;\n  }\n}\n",
				"cron.d/app":                   "* * * * * root . /run/container.env; php /srv/app/artisan schedule:run\n",
				"supervisor/conf.d/app.conf":   "[program:queue]\ncommand=php artisan queue:work\nuser=www-data\nenvironment=APP_ENV=\"prod\"\n",
				"systemd/system/queue.service": "[Service]\nEnvironment=" + full + "=http://127.0.0.1:4144/\nExecStart=/usr/bin/php artisan queue:work\n"})(s)
		}},
		{"a pool that doctor has put right", "", func(s *Site) {
			if os.Geteuid() != 0 {
				s.T.Skip("only root may change what another user's php-fpm reads")
			}
			simple(";clear_env = no")(s)
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
