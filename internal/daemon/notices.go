package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"rolecall/internal/notify"
	"rolecall/internal/slot"
	"rolecall/internal/source"
	"rolecall/internal/usererr"
)

// notices tells a person, on the desktop and in the log, that a sign-in has
// ended or is about to. They ask nothing and open nothing.
type notices struct {
	needed chan *usererr.Error // what slots need a person for; more than fit are dropped

	mu   sync.Mutex           // guards told
	told map[string]time.Time // :: command to type → when it was last told of
}

const (
	noticesWaiting = 16
	noticeAgain    = time.Hour // the same is not told sooner
	signInsEvery   = 5 * time.Second
)

func newNotices() *notices {
	return &notices{needed: make(chan *usererr.Error, noticesWaiting), told: map[string]time.Time{}}
}

// observe is told of every retrieval; it does not block.
func (n *notices) observe(e slot.Event) {
	if e.Err == nil || e.Err.Code != usererr.LoginRequired {
		return
	}
	select {
	case n.needed <- e.Err:
	default:
	}
}

// first says whether what is to be typed has not been told lately.
func (n *notices) first(command string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, ok := n.told[command]; ok && now.Sub(last) < noticeAgain {
		return false
	}
	if len(n.told) > 1000 { // sources by URL may make them up
		clear(n.told)
	}
	n.told[command] = now
	return true
}

// soon are the sign-ins that end within before and have not been told of.
func soon(all []source.SignIn, now time.Time, before time.Duration, told map[string]time.Time) (due []source.SignIn) {
	for _, s := range all {
		left := s.Until.Sub(now.Round(0))
		if left > 0 && left <= before && !told[s.Name].Equal(s.Until) {
			told[s.Name] = s.Until
			due = append(due, s)
		}
	}
	return due
}

// tell is the job that shows them.
func (d *daemon) tell(ctx context.Context) error {
	look := time.NewTicker(signInsEvery)
	defer look.Stop()
	ahead := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-d.notices.needed:
			if s := d.settings.Load(); (s.Notify || s.NotifyBefore > 0) && d.notices.first(e.Hint, time.Now()) {
				d.show(ctx, "a sign-in is needed", e.Msg+"\n"+e.Hint)
			}
			continue
		case <-look.C:
		}
		before := d.settings.Load().NotifyBefore
		if before <= 0 {
			continue
		}
		for _, s := range soon(d.signIns(), time.Now(), before, ahead) {
			left := time.Until(s.Until).Round(time.Minute).String()
			d.log.Warn("a sign-in is about to end", "sign_in", s.Name, "until", s.Until.UTC().Format(time.RFC3339), "hint", s.Command)
			d.show(ctx, "a sign-in is about to end", s.Name+" ends in "+left+"\nrenew it with: "+s.Command)
		}
	}
}

func (d *daemon) show(ctx context.Context, title, body string) {
	if err := notify.Send(ctx, d.c.Getenv, "rolecall: "+title, body); err != nil && !errors.Is(err, notify.ErrNoDesktop) {
		d.log.Warn("a notice could not be shown", "error", err.Error())
	}
}

// signIns are those that the slots rest on.
func (d *daemon) signIns() (all []source.SignIn) {
	seen := map[string]bool{}
	for _, sl := range d.table.Slots {
		text := sl.Snapshot().Spec.Source
		if seen[text] {
			continue
		}
		seen[text] = true
		if s, err := d.resolver.Resolve(text); err == nil {
			all = append(all, s.SignIns()...)
		}
	}
	return all
}
