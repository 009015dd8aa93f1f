package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "RssFile:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(v)[0])
			return kb
		}
	}
	t.Fatal("no RssFile in /proc/self/status")
	return 0
}

func TestGiveBack(t *testing.T) {
	before := resident(t)
	GiveBack()
	if after := resident(t); after >= before {
		t.Errorf("%d kB of files in memory, %d kB before", after, before)
	}
}

func TestReadOnly(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-00bf1000 r-xp 00000000 fe:00 123 /usr/bin/x\n": true,
		"00bf1000-014b3000 r--p 00000000 fe:00 123 /usr/bin/x\n": true,
		"014b3000-01590000 rw-p 00000000 fe:00 123 /usr/bin/x\n": false,
		"00400000-00bf1000 r-xp 00000000 fe:00 123 /usr/bin/y\n": false,
		"00400000-00bf1000 r-xp 00000000 00:00 0\n":              false,
		"zz-00bf1000 r-xp 00000000 fe:00 123 /usr/bin/x\n":       false,
		"": false,
	} {
		if _, _, ok := readOnly(line, "/usr/bin/x"); ok != want {
			t.Errorf("%q: %v", line, ok)
		}
	}
}
