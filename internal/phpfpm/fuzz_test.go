package phpfpm

import (
	"strings"
	"testing"
)

// Whatever stands in a file: reading ends, lines are its own, and what Plan
// writes is read as what was wanted.
func FuzzLoad(f *testing.F) {
	for _, s := range statements() {
		f.Add("[www]\nuser = x\n" + s + "\n")
	}
	f.Add("include=/f.conf\n")
	f.Add("[a]\n[b]\r\n[A] ;\n;clear_env = no\n")
	f.Fuzz(func(t *testing.T, text string) {
		tree := inTree(t, map[string]string{"x": ""})
		c := Config{Path: "/f.conf", Tree: tree, changed: map[string][]byte{"/f.conf": []byte(text)}}
		s, err := Load(c)
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range s.Pools {
			for _, set := range append(p.Settings, p.Comments...) {
				if set.Line < 1 || set.Line > lines {
					t.Fatalf("line %d of %d", set.Line, lines)
				}
			}
			p.Listen()
			changes, err := Plan(c, s, p, Wanted{Names: []string{"AWS_PROFILE"}, Values: map[string]string{"AWS_REGION": `a "b\;c`}})
			if err != nil || len(changes) == 0 {
				continue
			}
			now, err := Load(c.with(changes))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := now.Pool(p.Name).Env("AWS_REGION"); got.Value != `a "b\;c` {
				t.Fatalf("%q", got.Value)
			}
			if again, err := Plan(c.with(changes), now, now.Pool(p.Name), Wanted{Names: []string{"AWS_PROFILE"}}); err == nil && len(again) > 0 {
				t.Fatalf("a second run changes %q to %q", again[0].Before, again[0].After)
			}
			changes[0].Diff()
		}
	})
}

func FuzzUnit(f *testing.F) {
	f.Add("[Service]\nEnvironment=A=b \"C=d e\" F=\\\n g\nEnvironmentFile=-/x\nExecStart=-/usr/sbin/php-fpm8.2 -y '/a b' --prefix=/usr\n")
	f.Fuzz(func(t *testing.T, text string) {
		u := &Unit{Environment: map[string]string{}}
		var files, unset []string
		u.read(text, &files, &unset)
		argument(u.Start, "-y", "--fpm-config")
	})
}
