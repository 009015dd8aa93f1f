//go:build linux

package diagnosis

import (
	"testing"

	"rolecall/test/fpm"
)

// show prints what PHP sees of one name, in the four ways there are.
const show = `<?php $n = 'AWS_CONTAINER_CREDENTIALS_FULL_URI';
echo json_encode(array(getenv($n), getenv($n, true), isset($_SERVER[$n]) ? $_SERVER[$n] : null, isset($_ENV[$n]) ? $_ENV[$n] : null)), ' ', trim((string) shell_exec('printenv ' . $n));`

// What nginx's fastcgi_param does, through a real nginx and a real FPM: it
// reaches getenv and $_SERVER, but neither the environment nor programs that PHP
// starts; and an empty one hides what is in the environment.
func TestFastCGIParam(t *testing.T) {
	for _, tt := range []struct{ name, clear, params, want string }{
		{"a parameter alone", "yes", "fastcgi_param " + phpFull + " http://127.0.0.1:1/;", `["http:\/\/127.0.0.1:1\/",false,"http:\/\/127.0.0.1:1\/",null] `},
		{"the environment alone", "no", "", `["http:\/\/127.0.0.1:2\/","http:\/\/127.0.0.1:2\/","http:\/\/127.0.0.1:2\/",null] http://127.0.0.1:2/`},
		{"an empty parameter hides it", "no", "fastcgi_param " + phpFull + ` "";`, `["","http:\/\/127.0.0.1:2\/","",null] http://127.0.0.1:2/`},
		{"an empty one with if_not_empty does not", "no", "fastcgi_param " + phpFull + ` "" if_not_empty;`, `["http:\/\/127.0.0.1:2\/","http:\/\/127.0.0.1:2\/","http:\/\/127.0.0.1:2\/",null] http://127.0.0.1:2/`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := fpm.Dir(t)
			fpm.Nginx(t)
			fpm.Write(t, dir, map[string]string{"f.conf": fpm.Global + pool("www", "clear_env = "+tt.clear, "php_admin_value[variables_order] = GPCS"), "app/show.php": show})
			fpm.Start(t, fpm.Options{Conf: dir + "/f.conf", Env: fpmEnv(phpFull + "=http://127.0.0.1:2/")})
			if got := fpmGet(t, fpmNginx(t, dir, tt.params), "/show.php"); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}
