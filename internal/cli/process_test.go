package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/source"
	"rolecall/internal/store"
	"rolecall/internal/usererr"
)

// run is one `rolecall process` of a source that fails with code, beside a
// store that holds a set with left of its hour, if any.
type processRun struct {
	calls  int
	stderr bytes.Buffer
}

func (r *processRun) process(t *testing.T, kept *store.Shared, code usererr.Code) (creds.Credentials, error) {
	t.Helper()
	p := process{app: &app{stderr: &r.stderr, stdout: &bytes.Buffer{}, getenv: os.Getenv, environ: os.Environ}}
	return p.update(t.Context(), kept, &source.Source{Key: "dev", Provider: creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
		r.calls++
		return creds.Credentials{}, &usererr.Error{Code: code, Msg: "upstream says no", Hint: "wait"}
	})})
}

func keptWith(t *testing.T, left time.Duration) *store.Shared {
	t.Helper()
	s, err := store.Open(store.SharedConfig{Key: store.KeyConfig{Dir: t.TempDir(), Getenv: func(string) string { return "" }, Make: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if left > 0 {
		now := time.Now().UTC().Round(0)
		_, _, err = s.Update(t.Context(), "dev", func(creds.Credentials) bool { return false }, func(context.Context) (creds.Credentials, error) {
			return creds.Credentials{AccessKeyID: "ASIAKEPT", SecretAccessKey: creds.NewSecret("CANARYsecret"), SessionToken: creds.NewSecret("CANARYtoken"),
				Expires: now.Add(left), ObservedAt: now.Add(left - time.Hour)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Programs that start one after another while the source is down get what is
// still good, and one of them asks.
func TestProcessWhileTheSourceIsDown(t *testing.T) {
	for _, left := range []time.Duration{20 * time.Minute, 4 * time.Minute} {
		for _, code := range []usererr.Code{usererr.Unavailable, usererr.Throttled, usererr.AccessDenied, usererr.LoginRequired} {
			kept := keptWith(t, left)
			var r processRun
			for range 10 {
				c, err := r.process(t, kept, code)
				if err != nil || c.AccessKeyID != "ASIAKEPT" {
					t.Errorf("%s: %v", code, err)
				}
			}
			if said := r.stderr.String(); r.calls != 1 || strings.Count(said, "still good are printed") != 10 || !strings.Contains(said, "hint: wait") || strings.Contains(said, "CANARY") {
				t.Errorf("%s: %d calls; said %s", code, r.calls, said)
			}
		}
	}
	kept := keptWith(t, 30*time.Second) // too little to hand out
	var r processRun
	for range 10 {
		var e *usererr.Error
		if _, err := r.process(t, kept, usererr.Unavailable); !errors.As(err, &e) || e.Msg != "upstream says no" || e.Hint != "wait" {
			t.Errorf("%v", err)
		}
	}
	if r.calls < 1 || r.calls > 9 {
		t.Errorf("%d calls within a moment for nothing", r.calls)
	}
}
