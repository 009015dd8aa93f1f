package slot

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
)

// TestRefreshBelowRotates: where the source has a new set every so often, that
// is when it is asked, unless half of the lifetime is sooner.
func TestRefreshBelowRotates(t *testing.T) {
	for _, c := range []struct{ total, rotates, low, high time.Duration }{
		{6 * time.Hour, time.Hour, 297 * time.Minute, 303 * time.Minute},
		{12 * time.Hour, time.Hour, 657 * time.Minute, 663 * time.Minute},
		{2 * time.Hour, time.Hour, 57 * time.Minute, 66 * time.Minute},
		{time.Hour, time.Hour, 27 * time.Minute, 33 * time.Minute}, // what stands in for EC2 may give an hour,
		{15 * time.Minute, time.Hour, 405 * time.Second, 495 * time.Second},
		{6 * time.Hour, 0, 162 * time.Minute, 198 * time.Minute},
	} {
		for _, r := range []float64{0, 0.25, 0.5, 0.999999} {
			if got := refreshBelow(c.total, c.rotates, r); got < c.low-time.Second || got > c.high+time.Second {
				t.Errorf("%v, new every %v, r=%v: refresh with %v left, want %v to %v", c.total, c.rotates, r, got, c.low, c.high)
			}
		}
	}
}

// rotating answers as EC2's metadata service does: with the same set until it
// has the next.
func rotating(u *upstream, start time.Time, every, life time.Duration) {
	u.change = func(c *creds.Credentials) {
		n := time.Since(start) / every
		c.AccessKeyID = fmt.Sprintf("ASIAROTATED%05d", n)
		c.Expires = start.Add(n*every + life)
	}
}

// TestInstanceRoleDay is a day of an instance's role, in fake time: with a new
// set each hour, as is usual, and with one five minutes before the old one ends,
// which is the least that EC2 promises.
func TestInstanceRoleDay(t *testing.T) {
	for _, c := range []struct {
		name        string
		every, life time.Duration
		least       time.Duration // life left when served
		calls       int           // most
	}{
		{"hourly", time.Hour, 6 * time.Hour, 4*time.Hour + 30*time.Minute, 40},
		{"five minutes before the end", 5*time.Hour + 55*time.Minute, 6 * time.Hour, 3 * time.Minute, 120},
	} {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{}
			b := newBench(t)
			rotating(u, time.Now().Round(0), c.every, c.life)
			s := spec(u)
			s.Rotates = time.Hour
			b.Configure("x", s)
			least := c.life
			for range 24 * 60 * 2 {
				h := b.mustRead("x")
				least = min(least, time.Until(h.Expires))
				time.Sleep(30 * time.Second)
			}
			if least < c.least || u.count() > c.calls {
				t.Errorf("%s: served with %v left, want %v; %d calls, at most %d", c.name, least, c.least, u.count(), c.calls)
			}
			t.Logf("%s: least life served %v, %d calls in 24 h", c.name, least.Round(time.Second), u.count())
		})
	}
}

// TestInstanceRoleOutage: four and a half hours without the service are not
// noticed, whenever they begin.
func TestInstanceRoleOutage(t *testing.T) {
	for begin := range 12 {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{}
			b := newBench(t)
			rotating(u, time.Now().Round(0), time.Hour, 6*time.Hour)
			s := spec(u)
			s.Rotates = time.Hour
			b.Configure("x", s)
			b.mustRead("x")
			time.Sleep(3*time.Hour + time.Duration(begin)*5*time.Minute)
			u.set(func() { u.fail = unavailable() })
			before := u.count()
			for range 270 {
				time.Sleep(time.Minute)
				b.mustRead("x")
			}
			if n := u.count() - before; n > 95*5 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}
