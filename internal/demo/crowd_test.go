package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
)

// body is an answer as the endpoint gives it.
func body(keyID string, expires time.Time) string {
	return fmt.Sprintf(`{"AccessKeyId":%q,"SecretAccessKey":"s","Token":"t","Expiration":%q}`, keyID, expires.UTC().Format(time.RFC3339))
}

// TestAsk: a client of the demo takes only what an SDK could use.
func TestAsk(t *testing.T) {
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	tests := []struct {
		name   string
		status int
		body   string
		want   string // the error, or a part of it; "": none
	}{
		{"credentials", 200, body("AKIAIOSFODNN7EXAMPLE", later), ""},
		{"an error", 503, `{"code":"503"}`, "503"},
		{"no JSON", 200, "hello", "invalid character"},
		{"nothing", 200, "", "EOF"},
		{"a short key", 200, body("AKIA", later), "incomplete credentials"},
		{"no secret", 200, `{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","Token":"t"}`, "incomplete credentials"},
		{"old credentials", 200, body("AKIAIOSFODNN7EXAMPLE", before), "expired credentials"},
		{"no end", 200, `{"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s","Token":"t"}`, "expired credentials"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/slot/prod" || r.Header.Get("Authorization") != "token" {
					t.Errorf("asked for %s as %q", r.URL.Path, r.Header.Get("Authorization"))
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer server.Close()
			c := newCrowd(server.URL, creds.NewSecret("token"), 1)
			defer c.clients[0].CloseIdleConnections()
			a := c.ask(t.Context(), c.clients[0], slots[2])
			switch {
			case tt.want == "" && (a.err != nil || a.keyID != "…MPLE" || a.took <= 0):
				t.Errorf("got %+v", a)
			case tt.want != "" && (a.err == nil || !strings.Contains(a.err.Error(), tt.want)):
				t.Errorf("got %v, want %s", a.err, tt.want)
			}
		})
	}
}

// TestBurst: every failure is counted.
func TestBurst(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slot/staging" {
			http.Error(w, "{}", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, body("AKIAIOSFODNN7EXAMPLE", time.Now().Add(time.Hour)))
	}))
	defer server.Close()
	c := newCrowd(server.URL, creds.NewSecret("token"), 4)
	r := c.burst(t.Context(), 5)
	if r.answers != 40 || r.failures != 20 || r.median <= 0 || r.p99 < r.median || r.took < r.p99 {
		t.Errorf("got %+v", r)
	}
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// TestSaw: a change is a new key that lives longer than the one before; an
// answer that was under way meanwhile, with the key before, is none.
func TestSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, now := slots[0], time.Now()
		first := answer{keyID: "…AAAA", expires: now.Add(10 * time.Second)}
		second := answer{keyID: "…BBBB", expires: now.Add(20 * time.Second)}
		b := newBackground(func() {})
		steps := []struct {
			name string
			a    answer
			want keyChange
			sum  tally
		}{
			{"the first key", first, keyChange{}, tally{1, 0}},
			{"the same", first, keyChange{}, tally{2, 0}},
			{"a failure", answer{err: errors.New("503")}, keyChange{}, tally{2, 1}},
			{"the next key", second, keyChange{"…AAAA", "…BBBB", 10 * time.Second}, tally{3, 1}},
			{"a late answer", first, keyChange{"…AAAA", "…BBBB", 10 * time.Second}, tally{4, 1}},
		}
		for _, step := range steps {
			b.saw(s, step.a)
			if got := b.change(s); got != step.want {
				t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
			}
			if got := b.counts(); got != step.sum {
				t.Errorf("%s: %+v, want %+v", step.name, got, step.sum)
			}
		}
		b.forgetChanges()
		if got := b.change(s); got != (keyChange{}) {
			t.Errorf("not forgotten: %+v", got)
		}
	})
}

func TestWaitForNewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackground(func() {})
		turn := func(s slot, life time.Duration) {
			b.saw(s, answer{keyID: life.String(), expires: time.Now().Add(life)})
		}
		for _, s := range slots {
			turn(s, time.Minute)
		}
		for _, s := range slots[1:] {
			turn(s, time.Hour)
		}
		if err := b.waitForNewKeys(t.Context(), time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with one slot that has its old key: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			turn(slots[0], time.Hour)
		}()
		if err := b.waitForNewKeys(t.Context(), time.Minute); err != nil {
			t.Errorf("with new keys in all slots: %v", err)
		}
		b.forgetChanges()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.waitForNewKeys(ctx, time.Minute); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended: %v", err)
		}
	})
}
