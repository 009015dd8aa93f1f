package phpfpm

import (
	"path"
	"strings"
)

// Layout is how a distribution lays PHP-FPM's files out. In all of them
// clear_env is on unless a pool file says otherwise.
type Layout struct {
	Name   string
	Main   string // pattern of the main file
	Pools  string // pattern of the pool files, relative to Main's directory
	Prefix string // compiled in
}

// Layouts are those we know, the more particular first.
func Layouts() []Layout {
	return []Layout{
		{"official Docker image", "/usr/local/etc/php-fpm.conf", "php-fpm.d/*.conf", "/usr/local"},
		{"Debian", "/etc/php/*/fpm/php-fpm.conf", "pool.d/*.conf", "/usr"},
		{"Alpine", "/etc/php[0-9]*/php-fpm.conf", "php-fpm.d/*.conf", "/usr"},
		{"Remi", "/etc/opt/remi/php*/php-fpm.conf", "php-fpm.d/*.conf", "/opt/remi/%s/root/usr"},
		{"RHEL software collection", "/etc/opt/rh/rh-php*/php-fpm.conf", "php-fpm.d/*.conf", "/opt/rh/%s/root/usr"},
		{"RHEL", "/etc/php-fpm.conf", "php-fpm.d/*.conf", "/usr"},
	}
}

// LayoutOf is the layout to which a main file belongs.
func LayoutOf(main string) (Layout, bool) {
	for _, l := range Layouts() {
		if ok, _ := path.Match(l.Main, main); ok {
			l.Prefix = strings.ReplaceAll(l.Prefix, "%s", path.Base(path.Dir(main)))
			return l, true
		}
	}
	return Layout{}, false
}

// PrefixOf is what relative paths in a main file's configuration are relative
// to, as far as its own path tells: FPM has it compiled in.
func PrefixOf(main string) string {
	if l, ok := LayoutOf(main); ok {
		return l.Prefix
	}
	if before, _, ok := strings.Cut(main, "/etc/"); ok && before != "" {
		return before
	}
	return "/usr"
}

// FindMain are the main files that are on the machine, in the order of Layouts.
func FindMain(t *Tree) []string {
	var found []string
	for _, l := range Layouts() {
		files, _ := t.Glob(l.Main)
		found = append(found, files...)
	}
	return found
}
