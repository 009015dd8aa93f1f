package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"rolecall/internal/config"
	"rolecall/internal/control"
	"rolecall/internal/fakeaws"
)

// kept are the files of the entries that a daemon keeps on its machine.
func kept(t *testing.T, r *rig) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.home, "rc", "store", "*.cred"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Who empties a slot, or takes it out of the configuration, finds nothing of it
// on the disk; what another slot is of stays.
func TestEmptiedSlotsAreNotKept(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Slots = []config.Slot{{Name: "same", Source: "dev"}, {Name: "prod", Source: "prod"}, {Name: "staging", Source: "staging"}}
	r.start()
	for path, role := range map[string]string{"/": fakeaws.RoleDev, "/slot/same": fakeaws.RoleDev, "/slot/prod": fakeaws.RoleProd, "/slot/staging": fakeaws.RoleStaging} {
		if got := r.role(path); got != role {
			t.Errorf("%s: %s", path, got)
		}
	}
	unload := func(u control.UnloadRequest, left int) {
		t.Helper()
		if _, err := r.client().Unload(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if n := len(kept(t, r)); n != left {
			t.Errorf("%d entries are kept after %+v, want %d", n, u, left)
		}
	}
	if n := len(kept(t, r)); n != 3 {
		t.Fatalf("%d entries are kept", n)
	}
	unload(control.UnloadRequest{}, 3)
	unload(control.UnloadRequest{Slot: "same"}, 2)
	unload(control.UnloadRequest{Slot: "prod"}, 1)
	r.change(func(c *config.Config) { c.Load, c.Slots = "", nil })
	if _, err := r.client().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(kept(t, r)); n != 0 {
		t.Errorf("%d entries are kept of a slot that is no longer configured", n)
	}
}

// Two daemons of two users with one store key share one call through Redis, and
// go on alone once it is gone.
func TestDaemonsShareARedis(t *testing.T) {
	server := miniredis.RunT(t)
	first := newRig(t, fakeaws.Config{})
	addr := server.Addr()
	first.set.Store = config.Store("redis://" + addr)
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
	for _, f := range kept(t, first) { // another machine of the fleet, with the same key
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	first.start()
	if got := first.role("/"); got != fakeaws.RoleDev || first.aws.Calls("sts:AssumeRole") != calls {
		t.Errorf("after a restart: %s, %d further calls", got, first.aws.Calls("sts:AssumeRole")-calls)
	}
	server.Close()
	if got := first.role("/source/profile:prod"); got != fakeaws.RoleProd {
		t.Errorf("without Redis: %s", got)
	}
	st, err := first.client().Status(t.Context())
	if err != nil || st.Store == nil || st.Store.Kind != "redis" || st.Store.URL != "redis://"+addr || st.Store.KeyID == "" {
		t.Errorf("%+v %v", st.Store, err)
	}
}

func TestUnusableRedisURLIsSaid(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.set.Store = "redis://user:secretpassword@127.0.0.1:1"
	r.start()
	st, err := r.client().Status(t.Context())
	if err != nil || st.Store.Kind != "file" || st.Store.Problem == "" || len(st.Warnings) == 0 {
		t.Errorf("%+v %v", st.Store, err)
	}
	if strings.Contains(r.log.String()+st.Store.Problem, "secretpassword") {
		t.Error("a password in the log")
	}
	if got := r.role("/"); got != fakeaws.RoleDev {
		t.Error(got)
	}
}
