package control

import (
	"context"
	"net/http"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// Credentials asks for the credentials at an escaped path, as a program would.
func (r *Remote) Credentials(ctx context.Context, path string) (creds.Credentials, error) {
	var a struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
		AccountID       string `json:"AccountId"`
		RoleARN         string `json:"RoleArn"`
	}
	if err := r.do(ctx, http.MethodGet, path, nil, &a); err != nil {
		return creds.Credentials{}, err
	}
	c := creds.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: creds.NewSecret(a.SecretAccessKey), SessionToken: creds.NewSecret(a.Token),
		Expires: a.Expiration, AccountID: a.AccountID, RoleARN: a.RoleARN}
	if c.SessionToken.IsZero() {
		c.Expires = time.Time{} // keys that never end are told to end in an hour, which this protocol does not need
	}
	if err := c.Check(); err != nil {
		return creds.Credentials{}, &usererr.Error{Code: usererr.Unavailable, Msg: "the answer of " + r.URL() + " holds no complete credentials"}
	}
	return c, nil
}
