package clients_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// Programs that live through a restart of the daemon, with IMDS tokens of the
// earlier one in hand, never notice: SDKs fetch a new token on 401.
func TestMetadataAcrossARestart(t *testing.T) {
	t.Parallel()
	needPeers(t)
	const lifetime = 8 * time.Second
	w := world.New(t, fakeaws.Config{Lifetime: lifetime})
	d := w.Serve("--load", "dev", "--imds", "127.0.0.1:0")
	url := d.MetadataURL()
	env := slices.DeleteFunc(append(world.Surroundings(w.Home+"/nobody"), w.AWS.Environ()...), func(e string) bool {
		return strings.HasPrefix(e, "AWS_EC2_METADATA_")
	})
	env = append(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+url+"/", "AWS_EC2_METADATA_V1_DISABLED=true")
	clients := map[string]*conversation{}
	for _, s := range sdks() {
		if s.missing == "" && !s.cli && s.name != "JavaScript fromHttp" {
			clients[s.name] = s.converse(t, env)
		}
	}
	ask := func(when string) {
		for name, c := range clients {
			if a := c.ask(); a.Error != "" || !strings.HasPrefix(a.ARN, roleSession(fakeaws.RoleDev)) {
				t.Errorf("%s, %s: acts as %q: %s", name, when, a.ARN, a.Error)
			}
		}
	}
	ask("at first")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Serve("--load", "dev", "--imds", strings.TrimPrefix(url, "http://"))
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Since(began) < lifetime+4*time.Second {
		ask("after the restart")
		<-tick.C
	}
	t.Logf("%d SDKs, each with credentials from before and after", len(clients))
}
