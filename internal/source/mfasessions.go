package source

import (
	"context"
	"sync"

	"rolecall/internal/creds"
)

// unkept are sessions that nobody keeps: each use of one needs a code.
type unkept struct{}

func (unkept) Update(ctx context.Context, _ string, _ func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	c, err := fetch(ctx)
	return c, true, err
}

// LazySessions are what open gives when the first one is needed.
func LazySessions(open func() Sessions) Sessions { return &lazySessions{open: sync.OnceValue(open)} }

type lazySessions struct{ open func() Sessions }

func (l *lazySessions) Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	return l.open().Update(ctx, key, fresh, fetch)
}
