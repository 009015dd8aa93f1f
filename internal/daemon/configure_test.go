package daemon

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/fakeaws"
)

// A reload names what has changed, and what waits for the next start as long as
// it does.
func TestReloadTellsWhatChanged(t *testing.T) {
	r := newRig(t, fakeaws.Config{})
	r.start()
	began := r.set
	for _, c := range []struct {
		want   string
		change func(*config.Config)
	}{
		{"hosts is changed", func(s *config.Config) { s.Hosts = []string{"x.example"} }},
		{"auth.mode is changed", func(s *config.Config) { s.Auth.Mode = config.AuthToken }},
		{"auth.allow_uids is changed", func(s *config.Config) { s.Auth.AllowUIDs = []uint32{12345} }},
		{"imds_v1 is changed", func(s *config.Config) { s.IMDS.V1 = true }},
		{"imds_hop_limit is changed", func(s *config.Config) { s.IMDS.HopLimit = 2 }},
		{"imds_allow is changed", func(s *config.Config) { s.IMDS.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }},
		{"notify is changed", func(s *config.Config) { s.Notify = !s.Notify }},
		{"notify_before is changed", func(s *config.Config) { s.NotifyBefore += time.Minute }},
		{"log.level is changed", func(s *config.Config) { s.Log.Level++ }},
		{"log.format takes effect at the next start", func(s *config.Config) { s.Log.Format = config.LogText }},
		{"tls takes effect at the next start", func(s *config.Config) { s.TLS = config.TLS{Cert: "c", Key: "k"} }},
		{"metrics takes effect at the next start", func(s *config.Config) { s.Metrics = !s.Metrics }},
		{"max_connections takes effect at the next start", func(s *config.Config) { s.MaxConnections++ }},
		{"link_local takes effect at the next start", func(s *config.Config) { s.LinkLocal = true }},
		{"mfa_session takes effect at the next start", func(s *config.Config) { s.MFASession += time.Hour }},
		{"store takes effect at the next start", func(s *config.Config) { s.Store = "redis://127.0.0.1:1/" }},
		{"store takes effect at the next start", func(s *config.Config) { s.StorePasswordFile = "/x" }},
	} {
		later := strings.HasSuffix(c.want, "next start")
		reload := func(change func(*config.Config), want ...string) {
			t.Helper()
			r.change(func(s *config.Config) { *s = began; change(s) })
			res, err := r.client().Reload(t.Context())
			if err != nil || !slices.Equal(res.Changes, want) && len(res.Changes)+len(want) > 0 {
				t.Errorf("%q, %v, want %q", res.Changes, err, want)
			}
		}
		reload(c.change, c.want)
		if later {
			reload(c.change, c.want) // still so
			reload(func(*config.Config) {})
			continue
		}
		reload(c.change)
		reload(func(*config.Config) {}, c.want)
	}
}
