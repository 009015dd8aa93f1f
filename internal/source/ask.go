package source

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"rolecall/internal/usererr"
	"time"
)

// asker asks the services on or beside this machine for a few bytes: by no
// proxy, through no redirect, and again where that may help.
type asker struct {
	client    *http.Client // see newClient
	userAgent string
	attempts  int           // of one question; at least 1
	timeout   time.Duration // of one attempt
	total     time.Duration // of all attempts and the pauses between them
}

// answer is a whole answer, whatever its status.
type answer struct {
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration // the service's wish; zero: none
	date       time.Time     // by the service's clock, UTC; zero: not told
}

// ask puts one question. The error is that of the last attempt, and there is
// none where that one was answered at all.
func (k asker) ask(ctx context.Context, method, url string, header http.Header) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, k.total)
	defer cancel()
	for n := 1; ; n++ {
		got, err := k.once(ctx, method, url, header)
		if n >= k.attempts || !worthAgain(got, err) {
			return got, err
		}
		timer := time.NewTimer(pause(n, got, rand.Float64()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return got, err
		}
	}
}

func (k asker) once(ctx context.Context, method, url string, header http.Header) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", k.userAgent)
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.date = date.UTC()
	}
	a.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), a.date)
	return a, nil
}

// longestPause is the most that a question waits before it is asked again; who
// is told to wait longer leaves that to the slot.
const longestPause = time.Second

// worthAgain says whether the same question may be answered better in a moment:
// after a broken connection, silence, throttling or a 5xx.
func worthAgain(a *answer, err error) bool {
	switch {
	case err != nil:
		return !errors.Is(err, context.Canceled) && !errors.Is(err, errTooLarge) && !errors.Is(err, errElsewhere)
	case a.retryAfter > longestPause:
		return false
	}
	return a.status == http.StatusTooManyRequests || a.status >= 500
}

// pause is the time before the next attempt: 100 ms and twice as much each
// time, four times that where the service throttles, and a random factor from
// one half to one (r is uniform in [0, 1)).
func pause(n int, a *answer, r float64) time.Duration {
	wait := 100 * time.Millisecond
	var least time.Duration
	if a != nil {
		least = a.retryAfter
		if a.status == http.StatusTooManyRequests {
			wait *= 4
		}
	}
	wait = min(wait<<min(n-1, 10), longestPause)
	return max(time.Duration(float64(wait)*(0.5+0.5*r)), least)
}

// unanswered is the error for a question that had no answer.
func unanswered(what string, err error) *usererr.Error {
	return operation{name: what}.failed(err, &exchange{err: err})
}
