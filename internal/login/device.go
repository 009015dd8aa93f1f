package login

import (
	"context"
	"errors"
	"time"

	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

const (
	pollInterval = 5 * time.Second // where the service tells none (RFC 8628, 3.5)
	slowDownBy   = 5 * time.Second // the same
	longestPoll  = 30 * time.Second
)

// device signs in with a code that a person types on any machine (RFC 8628).
func (c Config) device(ctx context.Context) (sso.Client, sso.Granted, error) {
	client, cached, err := c.client(ctx, false)
	if err != nil {
		return sso.Client{}, sso.Granted{}, err
	}
	d, err := c.Service.StartDevice(ctx, client)
	if errors.Is(err, sso.ErrInvalidClient) && cached { // the service has forgotten it
		c.Cache.ForgetRegistration(c.Session)
		if client, _, err = c.client(ctx, false); err == nil {
			d, err = c.Service.StartDevice(ctx, client)
		}
	}
	if err != nil {
		return sso.Client{}, sso.Granted{}, err
	}
	until := time.Now().Add(d.Expires)
	c.Tell(Pending{Page: d.Page, Code: d.UserCode, Full: d.PageFull, Until: until})
	got, err := c.poll(ctx, client, d, until)
	return client, got, err
}

func (c Config) poll(ctx context.Context, client sso.Client, d sso.Device, until time.Time) (sso.Granted, error) {
	interval := d.Interval
	if interval <= 0 {
		interval = pollInterval
	}
	for pause := interval; ; {
		// Round drops the monotonic part, which stands still while a laptop sleeps.
		if !time.Now().Round(0).Add(pause).Before(until.Round(0)) {
			return sso.Granted{}, sso.ErrExpired
		}
		if err := sleep(ctx, pause); err != nil {
			return sso.Granted{}, err
		}
		got, err := c.Service.CreateToken(ctx, client, sso.Grant{DeviceCode: d.Code})
		var e *usererr.Error
		switch {
		case err == nil:
			return got, nil
		case ctx.Err() != nil:
			return sso.Granted{}, ctx.Err()
		case errors.Is(err, sso.ErrSlowDown):
			interval += slowDownBy
			pause = interval
		case errors.Is(err, sso.ErrPending):
			pause = interval
		case errors.As(err, &e) && (e.Code == usererr.Unavailable || e.Code == usererr.Throttled):
			// The person may still approve while the network comes back.
			pause = min(max(2*pause, e.RetryAfter), longestPoll)
		default:
			return sso.Granted{}, err
		}
	}
}

// sleep waits for d, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
