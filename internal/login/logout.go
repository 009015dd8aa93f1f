package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// Ender ends sign-ins at the service.
type Ender interface {
	CreateToken(ctx context.Context, c sso.Client, g sso.Grant) (sso.Granted, error)
	Logout(ctx context.Context, token creds.Secret) error
}

// SignOut ends a sign-in at the service and forgets its token here, whatever
// the service says. was is false where nobody was signed in. Tokens of other
// tools are left alone. The error says that the service may not know.
func SignOut(ctx context.Context, cache sso.Cache, session sso.Session, service Ender) (was bool, err error) {
	unlock := cache.Lock(ctx, session)
	defer unlock()
	t, err := cache.Read(session)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, sso.ErrDamaged):
		return false, cache.Remove(session)
	case err != nil:
		return false, &Error{fmt.Sprintf("the token cannot be read: %v", err), "correct the permissions of " + cache.TokenPath(session)}
	case t.Foreign(session) != "":
		return false, nil
	}
	told := end(ctx, t, service)
	if err := cache.Remove(session); err != nil {
		return true, &Error{fmt.Sprintf("the token cannot be removed: %v", err), "remove " + cache.TokenPath(session)}
	}
	if told != nil {
		e := usererr.From(told)
		return true, &Error{fmt.Sprintf("signed out of %s here, but the service was not told: %s", session.Name, e.Msg),
			"the sign-in ends there by itself, or by signing out on " + session.StartURL}
	}
	return true, nil
}

// end tells the service. One that has ended there is fine; a refresh token that
// is left of it is used up first, since only an access token can be ended.
func end(ctx context.Context, t sso.Token, service Ender) error {
	access := t.Access
	if !t.Good(time.Now(), 0, creds.Secret{}) {
		if !t.Refreshable() {
			return nil
		}
		got, err := service.CreateToken(ctx, t.Client, sso.Grant{Refresh: t.Refresh})
		if over(err) {
			return nil
		}
		if err != nil {
			return err
		}
		access = got.Access
	}
	if err := service.Logout(ctx, access); !over(err) {
		return err
	}
	return nil
}

// over says whether the service answered that there is nothing to end.
func over(err error) bool {
	var e *usererr.Error
	return errors.As(err, &e) && e.Code.NeedsPerson()
}
