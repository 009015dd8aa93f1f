package slot

import (
	"context"

	"rolecall/internal/creds"
)

// Store is where credentials are kept beyond the life of a slot, and where
// processes that share it agree on who asks upstream.
//
// Update answers with what is kept under key when fresh approves of it;
// otherwise it calls fetch, at most once among all that share the store at that
// time, and keeps what fetch returns. fetched says which of the two it was. An
// error is fetch's: a store that fails itself calls fetch and says nothing.
type Store interface {
	Update(ctx context.Context, key string, fresh func(creds.Credentials) bool,
		fetch func(context.Context) (creds.Credentials, error)) (c creds.Credentials, fetched bool, err error)
}

// unshared keeps nothing: every slot's memory is its own.
type unshared struct{}

func (unshared) Update(ctx context.Context, _ string, _ func(creds.Credentials) bool,
	fetch func(context.Context) (creds.Credentials, error)) (creds.Credentials, bool, error) {
	c, err := fetch(ctx)
	return c, true, err
}
