package clients_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

// One client of each SDK asks every second, for longer than two lifetimes of
// its credentials, and never sees them end.
func TestCredentialsAreReplacedBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	const lifetime = 16 * time.Second
	args := []string{"--auth", "token"}
	roleOf := func(s sdk) (name, arn string) {
		name = strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(s.name, "-"))
		return name, "arn:aws:iam::444444444444:role/" + name
	}
	for _, s := range sdks() {
		if name, arn := roleOf(s); !s.cli && s.missing == "" {
			args = append(args, "--slot", fmt.Sprintf("%s=role:%s@profile:base", name, arn))
		}
	}
	w := serve(t, fakeaws.Config{Lifetime: lifetime}, args...)
	eachLasting(t, func(t *testing.T, s sdk) {
		name, arn := roleOf(s)
		c := s.converse(t, w.program("/slot/"+name, token+"="+w.token))
		began := time.Now()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		asked := 0
		for time.Since(began) < 2*lifetime+2*time.Second {
			if a := c.ask(); a.Error != "" || !strings.HasPrefix(a.ARN, roleSession(arn)) {
				t.Fatalf("after %v: acts as %q: %s", time.Since(began).Round(time.Second), a.ARN, a.Error)
			}
			asked++
			<-tick.C
		}
		keys := map[string]bool{}
		for _, r := range w.AWS.Requests() {
			if k, ok := w.AWS.Issued(r.AccessKeyID); !ok || k.RoleARN != arn {
				continue
			}
			keys[r.AccessKeyID] = true
			if r.Op != "sts:GetCallerIdentity" || r.Status != 200 {
				t.Errorf("%s was answered %d", r.Op, r.Status)
			}
		}
		if len(keys) < 3 {
			t.Errorf("only %d sets of credentials in %v", len(keys), time.Since(began))
		}
		t.Logf("%d answers with %d sets of credentials", asked, len(keys))
	})
}
