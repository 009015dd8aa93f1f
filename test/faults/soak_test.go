package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
	"rolecall/test/faultproxy"
	"rolecall/test/world"
)

// soakDay is a day in the life of 50 slots with credentials of an hour. calm:
// failures last a minute or so, and the clock is stepped. Else upstream is also
// gone for up to half an hour, and the machine sleeps.
func soakDay(t *testing.T, hours int, calm bool) (l *lab, refreshes int) {
	busy.Lock()
	defer busy.Unlock()
	const slots = 50
	synctest.Test(t, func(t *testing.T) {
		l = newLab(t, 57)
		r := rand.New(rand.NewPCG(57, 24))
		kinds := []error{down(), &usererr.Error{Code: usererr.Internal, Msg: "x"}, &usererr.Error{Code: usererr.Throttled, Msg: "x", RetryAfter: 5 * time.Second}}
		var all []*upstream
		for i := range slots {
			all = append(all, l.slot(fmt.Sprint(i), time.Hour))
		}
		time.Sleep(5 * time.Second)
		faulty := make([]time.Time, slots) // since when
		end := l.trueTime().Add(time.Duration(hours) * time.Hour)
		for l.trueTime().Before(end) {
			i := r.IntN(slots)
			u := all[i]
			kind := r.IntN(8)
			if kind < 3 {
				if calm && time.Since(faulty[i]) < 10*time.Minute {
					continue // one that has just been mended
				}
				faulty[i] = time.Now()
			}
			switch kind {
			case 0: // fails for a while, in one way or another
				u.set(func(u *upstream) { u.fail = kinds[r.IntN(len(kinds))] })
			case 1: // hands out rubbish
				u.set(func(u *upstream) {
					u.change = []func(*creds.Credentials){
						func(c *creds.Credentials) { c.SecretAccessKey = creds.Secret{} },
						func(c *creds.Credentials) { c.Expires = c.ObservedAt.Add(-time.Minute) },
						func(c *creds.Credentials) { c.AccountID = "999999999999" },
					}[r.IntN(map[bool]int{true: 2, false: 3}[calm])] // another identity is left alone for minutes
				})
			case 2: // is slow
				u.set(func(u *upstream) { u.delay = time.Duration(r.IntN(5)) * time.Second })
			case 3:
				if r.IntN(20) == 0 {
					l.step.Store(int64(time.Duration(r.IntN(121)-60) * time.Minute))
				}
			case 4:
				if !calm && r.IntN(30) == 0 {
					l.sleep(time.Duration(1+r.IntN(180)) * time.Minute)
				}
			case 5:
				if !calm && r.IntN(30) == 0 {
					for _, u := range all {
						u.fails(down())
					}
					for range 1 + r.IntN(60) {
						time.Sleep(30 * time.Second)
						_, _ = l.read(fmt.Sprint(r.IntN(slots)))
					}
				}
			}
			for range 4 {
				_, _ = l.read(fmt.Sprint(r.IntN(slots)))
				time.Sleep(4 * time.Second)
			}
			for i, u := range all { // what failed is mended within the minute
				if time.Since(faulty[i]) > 44*time.Second {
					u.set(func(u *upstream) { u.fail, u.change, u.delay = nil, nil, 0 })
				}
			}
		}
		for _, u := range all {
			refreshes += u.count()
		}
	})
	return l, refreshes
}

func TestRow57Soak(t *testing.T) {
	t.Parallel()
	needsProc(t, 57)
	hours := many(24)
	calm, refreshes := soakDay(t, hours, true)
	wild, more := soakDay(t, hours, false)

	// What grows is looked for in a real daemon.
	s := newSite(t, fakeaws.Config{Lifetime: 20 * time.Second})
	args := []string{"--load", "dev", "--slot", "task=container", "--slot", "ec2=imds", "--slot", "sso=sso-dev"}
	for i := range 46 {
		args = append(args, "--slot", fmt.Sprintf("s%d=fake:lifetime=%ds", i, 5+i%3))
	}
	d := s.serve(world.Options{Plain: true}, args...)
	r := newReader(t, d)
	reads, ended := 0, 0
	work := func(refreshes int) {
		for i := range refreshes {
			if i%50 == 0 {
				s.proxy.Set([]faultproxy.Fault{{}, {Reset: true}, {}, {Cut: 200}, {}, {Hole: true}}[i/50%6])
			}
			_, _ = s.refresh(fmt.Sprintf("s%d", i%46))
			for range 4 {
				path := []string{"/", "/slot/task", "/slot/ec2", "/slot/sso", fmt.Sprintf("/slot/s%d", reads%46), "/slot/none"}[reads%6]
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // some slots wait for upstream
				if a := r.getWith(ctx, path); a.err == nil && a.status == 200 && !a.good() {
					ended++
				}
				cancel()
				reads++
			}
		}
		s.proxy.Set(faultproxy.Fault{})
		r.http.CloseIdleConnections()
		until(t, 15*time.Second, "rest", func() bool { return sockets(t, d.PID()) <= 8 })
	}
	type state struct {
		goroutines float64
		fds        int
		rss        float64
	}
	look := func() state { // at rest: a refresh that is under way just then has a few of its own
		now := state{1e9, 1e9, rssMiB(t, d.PID())}
		for range 20 {
			now.goroutines, now.fds = min(now.goroutines, s.metric("go_goroutines")), min(now.fds, len(descriptorsOf(t, d.PID())))
			<-time.After(50 * time.Millisecond)
		}
		return now
	}
	work(many(1200))
	before, refreshed := look(), s.metric(`rolecall_refreshes_total{outcome="ok"}`)
	work(many(1200)) // half a day's
	after := look()
	refreshed = s.metric(`rolecall_refreshes_total{outcome="ok"}`) - refreshed
	slope := (after.rss - before.rss) / 12
	goroutines, fds := after.goroutines-before.goroutines, after.fds-before.fds
	row(t, 57, calm.expired+wild.expired+ended == 0 && calm.least >= 25*time.Minute && calm.failed == 0 && max(goroutines, -goroutines) <= 5 && max(fds, -fds) <= 2 && slope <= 1,
		"fake time, %d h: %d ended sets in %d reads and %d refreshes; least life served %v where failures last a minute, %v with outages of half an hour and sleep. Real daemon under broken upstreams, %.0f refreshes (half a day has 1,200) and %d reads: goroutines %+.0f, descriptors %+d, RSS %+.1f MiB",
		hours, calm.expired+wild.expired+ended, calm.reads+wild.reads, refreshes+more, calm.least.Round(time.Second), wild.least.Round(time.Second), refreshed, reads, goroutines, fds, after.rss-before.rss)
}
