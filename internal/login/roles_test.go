package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// signedInRig is one whose token is good for the time.
func signedInRig(t *testing.T, c fakeaws.Config) *rig {
	t.Helper()
	g := newRig(t, c)
	if _, err := SignIn(within(t, 20*time.Second), g.config(func(p string) { visit(t, p) })); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) roles() *Roles {
	return &Roles{Portal: g.service, Token: func(ctx context.Context, rejected creds.Secret) (creds.Secret, error) {
		return g.r.SSOToken(ctx, g.session, rejected)
	}}
}

func TestRoles(t *testing.T) {
	g := signedInRig(t, fakeaws.Config{SSOPageSize: 7})
	g.fake.AddSSOAccounts(30, 10)
	r := g.roles()
	var last Progress
	steps := 0
	r.Progress = func(p Progress) {
		if p.Accounts < last.Accounts || p.Done < last.Done || p.Roles < last.Roles || p.Done > p.Accounts {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
		steps++
	}
	list, err := r.List(within(t, 30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 30 || last != (Progress{30, 30, 300}) || steps < 30 {
		t.Fatalf("%d accounts, %+v in %d steps", len(list), last, steps)
	}
	for i, a := range list {
		if a.Name != fmt.Sprintf("Account %04d", i) || len(a.Roles) != 10 || a.Roles[9] != "Role09" || a.Email == "" {
			t.Errorf("%+v", a)
		}
	}
}

// TestTenThousandRoles: 1,000 accounts with ten roles each.
func TestTenThousandRoles(t *testing.T) {
	p := &portal{accounts: 1000, roles: 10}
	var err error
	var list []sso.Account
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		list, err = (&Roles{Portal: p, Token: p.token}).List(t.Context())
		t.Logf("1,000 accounts in %v", time.Since(began))
	})
	n := 0
	for _, a := range list {
		n += len(a.Roles)
	}
	if err != nil || n != 10_000 || p.most.Load() > atOnce {
		t.Errorf("%d roles, %v, %d requests at once", n, err, p.most.Load())
	}
}

// portal is one in fake time that answers after 100 ms, and refuses what comes
// faster than its rate.
type portal struct {
	accounts, roles int
	rate, burst     float64 // zero: any

	now, most atomic.Int64
	calls     atomic.Int64
	refused   atomic.Int64

	mu     sync.Mutex // guards what follows
	bucket float64
	filled time.Time
	times  []time.Time
}

func (p *portal) token(context.Context, creds.Secret) (creds.Secret, error) {
	return creds.NewSecret("t"), nil
}

func (p *portal) enter(ctx context.Context) error {
	p.calls.Add(1)
	n := p.now.Add(1)
	defer p.now.Add(-1)
	for most := p.most.Load(); n > most && !p.most.CompareAndSwap(most, n); most = p.most.Load() {
	}
	p.mu.Lock()
	now := time.Now()
	if p.filled.IsZero() {
		p.bucket, p.filled = p.burst, now
	}
	p.bucket = min(p.burst, p.bucket+now.Sub(p.filled).Seconds()*p.rate)
	p.filled = now
	over := p.rate > 0 && p.bucket < 1
	if !over {
		p.bucket--
	}
	p.times = append(p.times, now)
	p.mu.Unlock()
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return err
	}
	if over {
		p.refused.Add(1)
		return &usererr.Error{Code: usererr.Throttled, Msg: "too many"}
	}
	return nil
}

func (p *portal) ListAccounts(ctx context.Context, _ creds.Secret, page string) (list []sso.Account, next string, err error) {
	if err := p.enter(ctx); err != nil {
		return nil, "", err
	}
	start, _ := strconv.Atoi(page)
	end := min(start+100, p.accounts)
	for i := start; i < end; i++ {
		list = append(list, sso.Account{ID: fmt.Sprintf("%012d", i), Name: fmt.Sprint(i)})
	}
	if end < p.accounts {
		next = strconv.Itoa(end)
	}
	return list, next, nil
}

func (p *portal) ListRoles(ctx context.Context, _ creds.Secret, account, _ string) (roles []string, next string, err error) {
	if err := p.enter(ctx); err != nil {
		return nil, "", err
	}
	for i := range p.roles {
		roles = append(roles, fmt.Sprint("r", i))
	}
	return roles, "", nil
}

// TestPace: 300 accounts in less than eight seconds, within the published limit
// of 20 requests a second from a full bucket; and where the portal takes less,
// it is asked less, and everything is found all the same.
func TestPace(t *testing.T) {
	for _, tt := range []struct {
		rate, burst float64
		refused     int64
		longest     time.Duration
	}{
		{20, 200, 0, 8 * time.Second},
		{20, 20, 20, 25 * time.Second},
		{5, 5, 40, 3 * time.Minute},
	} {
		p := &portal{accounts: 300, roles: 10, rate: tt.rate, burst: tt.burst}
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			list, err := (&Roles{Portal: p, Token: p.token}).List(t.Context())
			took := time.Since(began)
			if err != nil || len(list) != 300 || p.refused.Load() > tt.refused || took > tt.longest {
				t.Errorf("portal %v/s after %v: %d accounts, %v, %d of %d requests refused, %v", tt.rate, tt.burst, len(list), err, p.refused.Load(), p.calls.Load(), took)
			}
			t.Logf("portal %v/s after %v: %v, %d requests, %d refused", tt.rate, tt.burst, took, p.calls.Load(), p.refused.Load())
		})
		// Never more in any stretch of time than the bucket lets through.
		for i := range p.times {
			for j := i; j < len(p.times); j++ {
				if n, most := float64(j-i+1), paceBurst+1+paceRate*p.times[j].Sub(p.times[i]).Seconds(); n > most+0.001 {
					t.Fatalf("%v requests in %v", n, p.times[j].Sub(p.times[i]))
				}
			}
		}
	}
}

func TestRolesTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		faults   []fakeaws.Fault
		accounts int // with roles; -1: it fails
	}{
		"throttled twice":    {[]fakeaws.Fault{{Match: "sso:ListAccountRoles", Status: 429, Times: 2, RetryAfter: time.Second}}, 5},
		"an account is gone": {[]fakeaws.Fault{{Match: "sso:ListAccountRoles", Code: "ForbiddenException", Status: 403, Times: 1}}, 4},
		"5xx in passing":     {[]fakeaws.Fault{{Match: "sso:ListAccounts", Status: 503, Times: 3}}, 5},
		"5xx for good":       {[]fakeaws.Fault{{Match: "sso:ListAccounts", Status: 503}}, -1},
		"garbage":            {[]fakeaws.Fault{{Match: "sso:ListAccountRoles", Body: []byte("<html>" + canary)}}, -1},
		"reset":              {[]fakeaws.Fault{{Match: "sso:ListAccountRoles", Reset: true, Times: 1}}, 5},
		"bad request":        {[]fakeaws.Fault{{Match: "sso:ListAccountRoles", Code: "InvalidRequestException", Message: canary}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := signedInRig(t, fakeaws.Config{})
			g.fake.AddSSOAccounts(5, 2)
			g.fake.Script(tt.faults...)
			list, err := g.roles().List(within(t, 30*time.Second))
			n := 0
			for _, a := range list {
				if len(a.Roles) == 2 {
					n++
				}
			}
			if (err == nil) != (tt.accounts >= 0) || err == nil && n != tt.accounts {
				t.Errorf("%d accounts, %v", n, err)
			}
			if err != nil && (strings.Contains(err.Error(), "CANARYlogin\"") || usererr.From(err).Code == usererr.Internal) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A token that was ended is refreshed once, however many were asking; and where
// that does not work, a person is asked.
func TestRolesAfterTheTokenEnded(t *testing.T) {
	g := signedInRig(t, fakeaws.Config{})
	g.fake.AddSSOAccounts(20, 2)
	g.fake.Script(fakeaws.Fault{Match: "sso:*", Status: 401, Code: "UnauthorizedException", Times: 1})
	if list, err := g.roles().List(within(t, 30*time.Second)); err != nil || len(list) != 20 {
		t.Errorf("%d accounts, %v", len(list), err)
	}
	if n := g.fake.Calls("oidc:CreateToken"); n != 2 {
		t.Errorf("%d tokens were made", n)
	}
	g.fake.EndSSOSessions()
	_, err := g.roles().List(within(t, 30*time.Second))
	var e *usererr.Error
	if !errors.As(err, &e) || e.Code != usererr.LoginRequired || e.Hint != "rolecall login --sso-session corp" {
		t.Errorf("%v %+v", err, e)
	}
}

// A refresh token that another process used up is no reason to ask a person.
func TestRefreshTokenUsedUp(t *testing.T) {
	g := signedInRig(t, fakeaws.Config{})
	old, err := os.ReadFile(g.cache.TokenPath(g.session))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := g.r.SSOToken(t.Context(), g.session, creds.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	g.fake.SpendRefreshTokens()
	// The other process has not written its token yet: ours is still good.
	if again, err := g.r.SSOToken(t.Context(), g.session, creds.Secret{}); err != nil || again.Reveal() != tok.Reveal() {
		t.Error(err)
	}
	// The portal took it away, and the refresh token is spent: a person.
	if _, err := g.r.SSOToken(t.Context(), g.session, tok); usererr.From(err).Code != usererr.LoginRequired {
		t.Error(err)
	}
	// The other process has written meanwhile.
	fresh := g.fake.NewSSOLogin(time.Now().Add(time.Hour))
	text, err := fresh.CacheFile(g.session.StartURL, g.session.Region)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.cache.TokenPath(g.session), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := g.r.SSOToken(t.Context(), g.session, tok); err != nil || got.Reveal() != fresh.AccessToken {
		t.Error(err)
	}
	_ = old
}

func TestSignOut(t *testing.T) {
	for name, tt := range map[string]struct {
		setUp func(g *rig)
		was   bool
		words string // of the error
		told  int    // calls of Logout
	}{
		"signed in":         {func(*rig) {}, true, "", 1},
		"nobody":            {func(g *rig) { _ = g.cache.Remove(g.session) }, false, "", 0},
		"ended there":       {func(g *rig) { g.fake.EndSSOSessions() }, true, "", 1},
		"damaged":           {func(g *rig) { _ = os.WriteFile(g.cache.TokenPath(g.session), []byte("{"), 0o600) }, false, "", 0},
		"service is away":   {func(g *rig) { _ = g.fake.Close() }, true, "the service was not told", 0},
		"service fails":     {func(g *rig) { g.fake.Script(fakeaws.Fault{Match: "sso:Logout", Status: 500}) }, true, "the service was not told", 2},
		"service throttles": {func(g *rig) { g.fake.Script(fakeaws.Fault{Match: "sso:Logout", Status: 429}) }, true, "the service was not told", 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := signedInRig(t, fakeaws.Config{})
			tok, err := g.cache.Read(g.session)
			if err != nil {
				t.Fatal(err)
			}
			tt.setUp(g)
			was, err := SignOut(within(t, 20*time.Second), g.cache, g.session, g.service)
			if was != tt.was || (err == nil) != (tt.words == "") || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%v, %v", was, err)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("a secret is in %q", err)
			}
			if _, err := g.cache.Read(g.session); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the token is still there: %v", err)
			}
			if n := g.fake.Calls("sso:Logout"); n != tt.told {
				t.Errorf("%d calls of Logout", n)
			}
			if name == "signed in" {
				if _, _, err := g.service.ListAccounts(t.Context(), tok.Access, ""); usererr.From(err).Code != usererr.LoginRequired {
					t.Errorf("the token is still good there: %v", err)
				}
				if _, err := g.service.CreateToken(t.Context(), tok.Client, sso.Grant{Refresh: tok.Refresh}); !errors.Is(err, sso.ErrInvalidGrant) {
					t.Errorf("the refresh token is still good there: %v", err)
				}
			}
		})
	}
}

// An access token that has ended leaves a refresh token, which is ended too.
func TestSignOutAfterTheAccessTokenEnded(t *testing.T) {
	g := signedInRig(t, fakeaws.Config{SSOTokenLifetime: time.Second})
	tok, err := g.cache.Read(g.session)
	if err != nil {
		t.Fatal(err)
	}
	tok.Expires = time.Now().Add(-time.Minute)
	if err := g.cache.Write(g.session, tok); err != nil {
		t.Fatal(err)
	}
	if was, err := SignOut(within(t, 20*time.Second), g.cache, g.session, g.service); !was || err != nil {
		t.Errorf("%v, %v", was, err)
	}
	if n := g.fake.Calls("sso:Logout"); n != 1 {
		t.Errorf("%d calls of Logout", n)
	}
}

// Tokens of other tools are left alone.
func TestSignOutOfAnotherTool(t *testing.T) {
	g := signedInRig(t, fakeaws.Config{})
	path := g.cache.TokenPath(g.session)
	text := `{"accessToken":"x","expiresAt":"2099-01-01T00:00:00Z","scopes":["codewhisperer:completions"]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	was, err := SignOut(within(t, 20*time.Second), g.cache, g.session, g.service)
	if got, _ := os.ReadFile(path); was || err != nil || string(got) != text {
		t.Errorf("%v, %v, %s", was, err, got)
	}
}

func TestLists(t *testing.T) {
	l := NewLists(t.TempDir() + "/roles")
	s := sso.Session{Name: "corp", Section: true, StartURL: "https://x.awsapps.com/start", Region: "eu-west-1"}
	if _, err := l.Read(s); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	accounts := []sso.Account{{ID: "123456789012", Name: "A", Roles: []string{"R"}}}
	now := time.Now()
	if err := l.Write(s, accounts, now); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Read(s); err != nil || got.Accounts[0].Roles[0] != "R" || !got.Listed.Equal(now.UTC().Truncate(time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
	for age, want := range map[time.Duration]bool{0: false, 59 * time.Minute: false, 61 * time.Minute: true, -time.Hour: true} {
		if got, _ := l.Read(s); got.Stale(now.Add(age)) != want {
			t.Errorf("stale after %v: %v", age, !want)
		}
	}
	other := s
	other.StartURL = "https://y.awsapps.com/start" // the section was changed
	if _, err := l.Read(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list of another portal: %v", err)
	}
	l.Outdate(s)
	if got, err := l.Read(s); err != nil || !got.Stale(now) || !got.Listed.Equal(now.UTC().Truncate(time.Second)) || len(got.Accounts) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	release, held, err := l.Hold(s)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	if _, again, err := l.Hold(s); again || err != nil {
		t.Error(again, err)
	}
	release()
	if err := os.WriteFile(l.path(s), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(s); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("damaged: %v", err)
	}
	for range 2 {
		if err := l.Remove(s); err != nil {
			t.Error(err)
		}
	}
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{`{"start_url":"https://x/start","region":"eu-west-1","listed":"2026-01-02T03:04:05Z","accounts":[{"account_id":"1","roles":["a"]}]}`, `null`, `{"start_url":1}`, ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if l, ok := parseList(text); ok && l.StartURL == "" {
			t.Fatalf("%q was taken as a list", text)
		}
	})
}
