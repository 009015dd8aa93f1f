package login

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// Portal is the SSO portal of one session.
type Portal interface {
	ListAccounts(ctx context.Context, token creds.Secret, page string) (accounts []sso.Account, next string, err error)
	ListRoles(ctx context.Context, token creds.Secret, account, page string) (roles []string, next string, err error)
}

const (
	atOnce       = 10   // requests under way
	mostPages    = 1000 // of one list
	mostTries    = 4    // of one request, not counting those that were too many
	mostRefusals = 60   // of one request, as too many
	firstRetry   = 250 * time.Millisecond
)

// Progress of a list.
type Progress struct {
	Accounts int // found so far
	Done     int // of them, with their roles
	Roles    int
}

// Roles lists what the person who is signed in may use.
type Roles struct {
	Portal Portal
	// Token is the access token; rejected is one that the portal did not take.
	Token func(ctx context.Context, rejected creds.Secret) (creds.Secret, error)
	// Progress is told of each step, from one goroutine at a time. Nil: nobody.
	Progress func(Progress)

	pace *pace
	mu   sync.Mutex // guards what follows, and calls of Progress
	tok  creds.Secret
	seen Progress
}

// List asks for all accounts and their roles, at most 10 requests at once and no
// more than the portal takes. Accounts are in the order of their names.
func (r *Roles) List(ctx context.Context) ([]sso.Account, error) {
	r.pace = newPace(paceRate, paceBurst)
	var err error
	if r.tok, err = r.Token(ctx, creds.Secret{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *sso.Account)
	var workers sync.WaitGroup
	for range atOnce - 1 { // and one that lists the accounts
		workers.Go(func() {
			for a := range work {
				if err := r.rolesOf(ctx, a); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all, err := r.accounts(ctx, work)
	close(work)
	workers.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	list := make([]sso.Account, len(all))
	for i, a := range all {
		slices.Sort(a.Roles)
		list[i] = *a
	}
	slices.SortFunc(list, func(a, b sso.Account) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// accounts hands each account to work as soon as it is known.
func (r *Roles) accounts(ctx context.Context, work chan<- *sso.Account) (all []*sso.Account, err error) {
	page := ""
	for range mostPages {
		var found []sso.Account
		next := ""
		err := r.try(ctx, func(token creds.Secret) (err error) {
			found, next, err = r.Portal.ListAccounts(ctx, token, page)
			return err
		})
		if err != nil {
			return nil, err
		}
		r.step(func(p *Progress) { p.Accounts += len(found) })
		for i := range found {
			all = append(all, &found[i])
			select {
			case work <- &found[i]:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if next == "" {
			return all, nil
		}
		page = next
	}
	return nil, &usererr.Error{Code: usererr.Unavailable, Msg: "the portal's list of accounts has no end"}
}

func (r *Roles) rolesOf(ctx context.Context, a *sso.Account) error {
	page := ""
	for range mostPages {
		var found []string
		next := ""
		err := r.try(ctx, func(token creds.Secret) (err error) {
			found, next, err = r.Portal.ListRoles(ctx, token, a.ID, page)
			return err
		})
		var e *usererr.Error
		if errors.As(err, &e) && e.Code == usererr.AccessDenied { // taken away while we were listing
			err, next = nil, ""
		}
		if err != nil {
			return err
		}
		a.Roles = append(a.Roles, found...)
		if page = next; page == "" {
			r.step(func(p *Progress) { p.Done++; p.Roles += len(a.Roles) })
			return nil
		}
	}
	return &usererr.Error{Code: usererr.Unavailable, Msg: "the portal's list of roles of account " + a.ID + " has no end"}
}

func (r *Roles) step(change func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.seen)
	if r.Progress != nil {
		r.Progress(r.seen)
	}
}

// try makes one request until it is answered: it waits for its turn, goes back
// where there were too many, tries what failed in passing a few times, and
// takes another token once.
func (r *Roles) try(ctx context.Context, request func(token creds.Secret) error) error {
	tries, refusals, renewed := 0, 0, false
	for {
		if err := r.pace.wait(ctx); err != nil {
			return err
		}
		token := r.token()
		err := request(token)
		if err == nil {
			r.pace.answered()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e := usererr.From(err)
		switch {
		case e.Code == usererr.Throttled && refusals < mostRefusals:
			refusals++
			r.pace.throttled(time.Now(), e.RetryAfter)
		case e.Code == usererr.Unavailable && tries < mostTries-1:
			if err := sleep(ctx, max(firstRetry<<tries, e.RetryAfter)); err != nil {
				return err
			}
			tries++
		case e.Code == usererr.LoginRequired && !renewed:
			if err := r.renew(ctx, token); err != nil {
				return err
			}
			renewed = true
		default:
			return err
		}
	}
}

func (r *Roles) token() creds.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tok
}

// renew replaces a token that the portal did not take. The others who have it
// too ask at the same time; the lock on the cache makes one call of it.
func (r *Roles) renew(ctx context.Context, rejected creds.Secret) error {
	fresh, err := r.Token(ctx, rejected)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tok = fresh
	return nil
}
