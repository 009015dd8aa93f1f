package config

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseListen(t *testing.T) {
	tests := []struct {
		in, want string // "" want: an error
		loopback bool
	}{
		{"127.0.0.1:4144", "127.0.0.1:4144", true},
		{"localhost:4144", "127.0.0.1:4144", true},
		{"127.1.2.3:0", "127.1.2.3:0", true},
		{"[::1]:65535", "[::1]:65535", true},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
		{":4144", "0.0.0.0:4144", false},
		{"0.0.0.0:4144", "0.0.0.0:4144", false},
		{"[::]:4144", "[::]:4144", false},
		{"192.0.2.1:80", "192.0.2.1:80", false},
		{"[fe80::1%eth0]:80", "[fe80::1%eth0]:80", false},
		{"", "", false}, {"4144", "", false}, {"127.0.0.1", "", false}, {"::1", "", false}, {"[::1]", "", false},
		{"127.0.0.1:", "", false}, {"127.0.0.1:http", "", false}, {"127.0.0.1:65536", "", false}, {"127.0.0.1:-1", "", false},
		{"127.0.0.1:+1", "", false}, {"127.1:80", "", false}, {"2130706433:80", "", false}, {"0177.0.0.1:80", "", false},
		{"LOCALHOST:80", "", false}, {"localhost", "", false}, {"example.com:80", "", false}, {"http://127.0.0.1:80", "", false},
		{"127.0.0.1:80/", "", false}, {" 127.0.0.1:80", "", false}, {"unix:/run/s", "", false}, {"[127.0.0.1:80", "", false},
	}
	for _, tt := range tests {
		a, err := ParseListen(tt.in)
		if tt.want == "" {
			if err == nil || a.IsValid() {
				t.Errorf("%q: taken as %v", tt.in, a)
			}
			continue
		}
		if err != nil || a.String() != tt.want || a.Loopback() != tt.loopback {
			t.Errorf("%q: %v, loopback %v, %v; want %s, %v", tt.in, a, a.Loopback(), err, tt.want, tt.loopback)
		}
	}
}

func FuzzParseListen(f *testing.F) {
	for _, s := range []string{"127.0.0.1:4144", "localhost:0", ":1", "[::1%a]:1", "[::ffff:1.2.3.4]:2", "4144", "x:y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := ParseListen(in)
		if err != nil {
			return
		}
		if again, err := ParseListen(a.String()); err != nil || again != a {
			t.Errorf("%q is %v, which is %v, %v", in, a, again, err)
		}
	})
}

func TestCheckHost(t *testing.T) {
	for _, fine := range []string{"a", "host.docker.internal", "rolecall.example:4144", "192.0.2.1", "192.0.2.1:80", "[::1]", "[2001:db8::1]:443", "my_host", "a."} {
		if err := CheckHost(fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	for _, bad := range []string{"", ":80", "a:", "a:0", "a:65536", "a:x", "http://a", "http://a:80", "a/b", "A", "*.a", "a b", "a\n",
		"::1", "[::1", "[a]", "[127.0.0.1]", "[fe80::1%lo]", "é", ".a", "a..b", "a,b", strings.Repeat("a", 254)} {
		if err := CheckHost(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCheckSlotName(t *testing.T) {
	for _, fine := range []string{"a", "team a/audit", "default", "...", "Ünïcödé 日本", "-", "a.b:c@d", "..a", "😀", strings.Repeat("x", 128), strings.Repeat("é", 64)} {
		if err := CheckSlotName(fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a\x00", "a\nb", "a\rb", "\x1b[31m", "\x7f", "a\u0085", "a\u00adb", "a\u200bb", "a\u200db", "\u202ea", "\u2066a",
		"\u2028", "\u2029", "\ufeffa", "a\U000e0041", "\xff", "a\xc3", strings.Repeat("x", 129), strings.Repeat("é", 65)} {
		err := CheckSlotName(bad)
		if err == nil {
			t.Errorf("%q was taken", bad)
			continue
		}
		if _, unseen := firstUnseen(err.Error()); unseen || !utf8.ValidString(err.Error()) || len(err.Error()) > 100 {
			t.Errorf("%q is shown as it is: %q", bad, err)
		}
	}
}

func TestCheckSource(t *testing.T) {
	for _, fine := range []string{"dev", "profile:my profile", "role:arn:aws:iam::123456789012:role/a/b@prod", "😀"} {
		if err := CheckSource(fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	for _, bad := range []string{"", "a\nb", "\x00", "\xff", "a\u202e", strings.Repeat("x", maxSource+1)} {
		if err := CheckSource(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzCheckSlotName(f *testing.F) {
	for _, s := range []string{"", "..", "a/b", "a\u202e", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckSlotName(name) != nil {
			return
		}
		if _, unseen := firstUnseen(name); unseen || name == "" || len(name) > maxSlotName || !utf8.ValidString(name) {
			t.Errorf("%q was taken", name)
		}
	})
}
