package daemon

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"rolecall/internal/config"
	"rolecall/internal/fakeaws"
)

// Two daemons of two users with one store key share one call through Redis, and
// go on alone once it is gone.
func TestDaemonsShareARedis(t *testing.T) {
	server := miniredis.RunT(t)
	first := newRig(t, fakeaws.Config{})
	first.set.Store = config.Store("redis://" + server.Addr())
	first.start()
	if got := first.role("/"); got != fakeaws.RoleDev {
		t.Fatal(got)
	}
	if len(server.Keys()) == 0 {
		t.Fatalf("nothing in Redis\n%s", first.log.String())
	}
	for _, k := range server.Keys() {
		if v, _ := server.Get(k); strings.Contains(k+v, "dev") || strings.Contains(v, "ASIA") {
			t.Errorf("readable in Redis: %q", k)
		}
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	calls := first.aws.Calls("sts:AssumeRole")
	first.start()
	if got := first.role("/"); got != fakeaws.RoleDev || first.aws.Calls("sts:AssumeRole") != calls {
		t.Errorf("after a restart: %s, %d further calls", got, first.aws.Calls("sts:AssumeRole")-calls)
	}
	server.Close()
	if got := first.role("/source/profile:prod"); got != fakeaws.RoleProd {
		t.Errorf("without Redis: %s", got)
	}
	st, err := first.client().Status(t.Context())
	if err != nil || st.Store == nil || st.Store.Kind != "redis" {
		t.Errorf("%+v %v", st.Store, err)
	}
}

func TestUnusableRedisURLIsSaid(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Store = "redis://user:secretpassword@127.0.0.1:1"
	r.start()
	st, err := r.client().Status(t.Context())
	if err != nil || st.Store.Kind != "memory" || st.Store.Problem == "" || len(st.Warnings) == 0 {
		t.Errorf("%+v %v", st.Store, err)
	}
	if strings.Contains(r.log.String()+st.Store.Problem, "secretpassword") {
		t.Error("a password in the log")
	}
	if got := r.role("/"); got != fakeaws.RoleDev {
		t.Error(got)
	}
}
