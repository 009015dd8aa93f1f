package source

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// fakeOptions are those of the built-in source, e.g.
// "fake:lifetime=30s,account=111111111111,role=dev,fail=login_required".
type fakeOptions struct {
	lifetime time.Duration // 0: the keys never end
	account  string
	role     string
	fail     usererr.Code  // "": it works
	delay    time.Duration // before it answers
}

const fakeUsage = "lifetime=DURATION (or never), account=12 DIGITS, role=NAME, delay=DURATION, fail=CODE"

func parseFake(text string) (fakeOptions, error) {
	o := fakeOptions{lifetime: time.Hour, account: "000000000000", role: "fake"}
	if text == "" {
		return o, nil
	}
	for _, option := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(option, "=")
		ok := false
		var err error
		switch name {
		case "lifetime":
			if value == "never" {
				o.lifetime, ok = 0, true
				break
			}
			o.lifetime, err = time.ParseDuration(value)
			ok = err == nil && o.lifetime >= time.Second && o.lifetime <= 36*time.Hour
		case "delay":
			o.delay, err = time.ParseDuration(value)
			ok = err == nil && o.delay >= 0 && o.delay <= time.Hour
		case "account":
			o.account, ok = value, len(value) == 12 && strings.Trim(value, "0123456789") == ""
		case "role":
			o.role, ok = value, validRoleName(value) && !strings.Contains(value, "/")
		case "fail":
			o.fail = usererr.Code(value)
			switch o.fail {
			case usererr.LoginRequired, usererr.AccessDenied, usererr.NotConfigured, usererr.Throttled, usererr.Unavailable, usererr.Internal:
				ok = true
			}
		}
		if !ok {
			return o, badText(fmt.Sprintf("%q is not an option of fake", option), "the options are "+fakeUsage)
		}
	}
	return o, nil
}

// fakeLink gives made-up keys without asking anybody, for trying rolecall out
// and for tests. AWS refuses them.
func (r *Resolver) fakeLink(text string) (*link, error) {
	o, err := parseFake(text)
	if err != nil {
		return nil, err
	}
	provider := creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
		if o.delay > 0 {
			timer := time.NewTimer(o.delay)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return creds.Credentials{}, usererr.From(ctx.Err())
			}
		}
		if o.fail != "" {
			return creds.Credentials{}, &usererr.Error{Code: o.fail, Msg: "the fake source fails as it was told (" + string(o.fail) + ")", Hint: "load it without fail="}
		}
		return r.fakeKeys(o), nil
	})
	return &link{provider: provider, region: r.region(nil), timeout: callTimeout}, nil
}

// fakeKeys are different at each call, and say what they are.
func (r *Resolver) fakeKeys(o fakeOptions) creds.Credentials {
	n := r.issued.Add(1)
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	sum := sha256.Sum256(fmt.Appendf(random[:], "%d", n))
	prefix := "ASIAFAKE"
	if o.lifetime == 0 {
		prefix = "AKIAFAKE"
	}
	c := creds.Credentials{
		AccessKeyID:     prefix + base32.StdEncoding.EncodeToString(sum[:])[:12],
		SecretAccessKey: creds.NewSecret("fake/not/a/real/secret/" + hex.EncodeToString(sum[20:])[:17]),
		AccountID:       o.account,
		RoleARN:         "arn:aws:iam::" + o.account + ":role/" + o.role,
		RoleName:        o.role,
	}
	if o.lifetime > 0 {
		// Whole seconds, as AWS has them, and rounded up so that a life of a
		// second does not come out as none.
		c.Expires = time.Now().Add(o.lifetime + time.Second - 1).UTC().Truncate(time.Second)
		c.SessionToken = creds.NewSecret("fake-session-token-" + hex.EncodeToString(sum[:16]))
	}
	return c
}
