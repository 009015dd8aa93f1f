package doctor

import "testing"

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
