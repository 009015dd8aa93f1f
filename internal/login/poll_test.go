package login

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// scripted is an OIDC service that answers polls as it is told, the last answer
// again and again.
type scripted struct {
	answers  []error // nil: a token
	interval time.Duration
	began    time.Time
	polls    []time.Duration // when they came
}

func (s *scripted) AuthorizeURL() (string, error) { return "https://x.example/authorize", nil }

func (s *scripted) Register(context.Context, sso.NewClient) (sso.Client, error) {
	return sso.Client{ID: creds.NewSecret("id"), Secret: creds.NewSecret("s"), Expires: time.Now().Add(90 * 24 * time.Hour)}, nil
}

func (s *scripted) StartDevice(context.Context, sso.Client) (sso.Device, error) {
	s.began = time.Now()
	return sso.Device{Code: creds.NewSecret("d"), UserCode: "ABCD-EFGH", Page: "https://x.example/device", Expires: 10 * time.Minute, Interval: s.interval}, nil
}

func (s *scripted) CreateToken(context.Context, sso.Client, sso.Grant) (sso.Granted, error) {
	s.polls = append(s.polls, time.Since(s.began))
	err := s.answers[min(len(s.polls), len(s.answers))-1]
	if err != nil {
		return sso.Granted{}, err
	}
	return sso.Granted{Access: creds.NewSecret("a"), Lifetime: time.Hour}, nil
}

func answer(code usererr.Code, means error, after time.Duration) error {
	return &usererr.Error{Code: code, Msg: "no", Err: means, RetryAfter: after}
}

// TestPolls: RFC 8628, 3.5: never faster than the interval, five seconds more at
// each slow_down, further apart while the network is away, and no longer than
// the code lives.
func TestPolls(t *testing.T) {
	pending, slow := answer(usererr.Unavailable, sso.ErrPending, 0), answer(usererr.Throttled, sso.ErrSlowDown, 0)
	down, many := answer(usererr.Unavailable, nil, 0), answer(usererr.Throttled, nil, 12*time.Second)
	const s = time.Second
	for name, tt := range map[string]struct {
		interval time.Duration
		answers  []error
		polls    []time.Duration
		want     error
	}{
		"at once":                 {1 * s, []error{nil}, []time.Duration{1 * s}, nil},
		"pending":                 {2 * s, []error{pending, pending, nil}, []time.Duration{2 * s, 4 * s, 6 * s}, nil},
		"no interval told":        {0, []error{pending, nil}, []time.Duration{5 * s, 10 * s}, nil},
		"slow down":               {1 * s, []error{slow, pending, slow, nil}, []time.Duration{1 * s, 7 * s, 13 * s, 24 * s}, nil},
		"network away":            {1 * s, []error{down, down, pending, nil}, []time.Duration{1 * s, 3 * s, 7 * s, 8 * s}, nil},
		"too many":                {1 * s, []error{many, nil}, []time.Duration{1 * s, 13 * s}, nil},
		"denied":                  {1 * s, []error{pending, answer(usererr.AccessDenied, sso.ErrDenied, 0)}, []time.Duration{1 * s, 2 * s}, sso.ErrDenied},
		"the code ended":          {1 * s, []error{answer(usererr.LoginRequired, sso.ErrExpired, 0)}, []time.Duration{1 * s}, sso.ErrExpired},
		"nobody, and no word":     {100 * s, []error{pending}, []time.Duration{100 * s, 200 * s, 300 * s, 400 * s, 500 * s}, sso.ErrExpired},
		"the client is not known": {1 * s, []error{answer(usererr.LoginRequired, sso.ErrInvalidClient, 0)}, []time.Duration{1 * s}, sso.ErrInvalidClient},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &scripted{answers: tt.answers, interval: tt.interval}
				c := Config{Service: service, Tell: func(Pending) {}, Device: true}
				var err error
				c.Cache, err = sso.NewCache(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				_, _, err = c.device(t.Context())
				if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if len(service.polls) != len(tt.polls) {
					t.Fatalf("polls at %v, want %v", service.polls, tt.polls)
				}
				for i := range tt.polls {
					if service.polls[i] != tt.polls[i] {
						t.Fatalf("polls at %v, want %v", service.polls, tt.polls)
					}
				}
			})
		})
	}
}

// TestGivenUp: a wait that is given up ends at once.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home := t.TempDir()
		cache, err := sso.NewCache(home)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		s := &scripted{answers: []error{answer(usererr.Unavailable, sso.ErrPending, 0)}, interval: time.Second}
		_, err = SignIn(ctx, Config{Session: sso.Session{Name: "x", StartURL: "https://x.example/start", Region: "eu-west-1"}, Service: s, Cache: cache,
			Pending: filepath.Join(home, "p"), Device: true, Tell: func(Pending) {}})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(s.began) != 90*time.Second {
			t.Errorf("%v after %v", err, time.Since(s.began))
		}
	})
}
