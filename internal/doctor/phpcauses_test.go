package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every cause that the checks of PHP name is in the page about them, and the
// page names no other.
func TestPHPCausesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/php-fpm.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("ph*.go")
	if err != nil || len(sources) < 6 {
		t.Fatal(sources, err)
	}
	cause := regexp.MustCompile(`"((?:php-fpm|nginx|apache|supervisord|cron|systemd|laravel)\.[a-z-]+)"`)
	known := map[string]bool{}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range cause.FindAllStringSubmatch(string(b), -1) {
			known[m[1]] = true
			if !strings.Contains(string(page), "`"+m[1]+"`") {
				t.Errorf("docs/php-fpm.md does not name %s (%s)", m[1], name)
			}
		}
	}
	for _, m := range regexp.MustCompile("`((?:php-fpm|nginx|apache|supervisord|cron|systemd|laravel)\\.[a-z-]+)`").FindAllStringSubmatch(string(page), -1) {
		if !known[m[1]] {
			t.Errorf("docs/php-fpm.md names %s, which no check does", m[1])
		}
	}
	if len(known) < 40 {
		t.Errorf("only %d causes", len(known))
	}
}
