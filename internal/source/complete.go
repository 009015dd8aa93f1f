package source

import (
	"context"
	"fmt"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// checked is p, refusing credentials that are incomplete or have ended, and
// with the identity filled in from what is known. what names the source.
func checked(p creds.Provider, what string) creds.Provider {
	return creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
		c, err := p.Retrieve(ctx)
		if err != nil {
			return creds.Credentials{}, usererr.From(err)
		}
		return complete(c, what)
	})
}

// complete refuses credentials that nobody could use, and fills in what the
// role's ARN tells of the identity.
func complete(c creds.Credentials, what string) (creds.Credentials, error) {
	if c.AccessKeyID == "" || c.SecretAccessKey.IsZero() {
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable, Msg: what + " answered without keys"}
	}
	if err := c.Check(); err != nil {
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable, Msg: what + " answered with unusable keys: " + oneLine(err)}
	}
	if c.CanExpire() && c.Lifetime(time.Now()) <= 0 {
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable,
			Msg:  fmt.Sprintf("%s answered with keys that ended at %s", what, c.Expires.UTC().Format(time.RFC3339)),
			Hint: "it cannot renew them now, or its clock or this machine's is wrong"}
	}
	if c.RoleName == "" {
		c.RoleName = creds.RoleNameFromARN(c.RoleARN)
	}
	if c.AccountID == "" {
		c.AccountID = creds.AccountFromARN(c.RoleARN)
	}
	c.Expires = c.Expires.UTC()
	return c, nil
}

// told is an end as an upstream told it. Go's zero time, which is what helpers
// written in Go send when they have no credentials, is long past; in Credentials
// it would mean that they never end.
func told(end time.Time) time.Time {
	if end.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return end.UTC()
}

// oneLine joins the lines of creds.Check's error, which names fields only.
func oneLine(err error) string {
	text := []byte(err.Error())
	for i, b := range text {
		if b == '\n' {
			text[i] = ';'
		}
	}
	return string(text)
}
