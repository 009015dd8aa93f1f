package source

import (
	"context"
	"sync"

	"rolecall/internal/creds"
)

// OwnSessions keeps sessions in memory. The zero value is empty.
type OwnSessions struct {
	mu   sync.Mutex // guards kept
	kept map[string]creds.Credentials
}

// Update is that of Sessions. Two that fetch at once both do: each has its code.
func (o *OwnSessions) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	o.mu.Lock()
	c, ok := o.kept[key]
	o.mu.Unlock()
	if ok && fresh(c) {
		return c, false, nil
	}
	c, err := fetch(ctx)
	if err != nil {
		return creds.Credentials{}, true, err
	}
	o.mu.Lock()
	if o.kept == nil {
		o.kept = map[string]creds.Credentials{}
	}
	o.kept[key] = c
	o.mu.Unlock()
	return c, true, nil
}

// LazySessions are what open gives when the first one is needed.
func LazySessions(open func() Sessions) Sessions { return &lazySessions{open: sync.OnceValue(open)} }

type lazySessions struct{ open func() Sessions }

func (l *lazySessions) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	return l.open().Update(ctx, key, fresh, fetch)
}
