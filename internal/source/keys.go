package source

import (
	"context"
	"fmt"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// keysLink gives the keys that stand in the profile. Key and secret must stand
// in the same file, as in the SDKs: two halves of different pairs are no pair.
func (r *Resolver) keysLink(s *awsconfig.Section) (*link, error) {
	id, _ := s.Get("aws_access_key_id")
	secret, _ := s.Get("aws_secret_access_key")
	switch {
	case id.Text == "":
		return nil, r.notConfigured(fmt.Sprintf("%s profile %q has aws_secret_access_key but no aws_access_key_id", at(secret), s.Name), "add aws_access_key_id")
	case secret.Secret.IsZero():
		return nil, r.notConfigured(fmt.Sprintf("%s profile %q has aws_access_key_id but no aws_secret_access_key", at(id), s.Name), "add aws_secret_access_key")
	case id.File != secret.File:
		return nil, r.notConfigured(fmt.Sprintf("%s aws_access_key_id of profile %q has its aws_secret_access_key in another file", at(id), s.Name), "write both into "+id.File)
	}
	c := creds.Credentials{
		AccessKeyID:     id.Text,
		SecretAccessKey: secret.Secret,
		AccountID:       s.Text("aws_account_id"),
		RoleARN:         s.Text("x_principal_arn"), // as saml2aws writes it, for some an STS ARN
	}
	if creds.RoleNameFromARN(c.RoleARN) == "" {
		c.RoleARN = ""
	}
	for _, key := range []string{"aws_session_token", "aws_security_token"} {
		if token, ok := s.Get(key); ok && token.File == id.File && c.SessionToken.IsZero() {
			c.SessionToken = token.Secret
		}
	}
	c.Expires = keysExpiry(s)
	changed := r.filesChanged()
	provider := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
		if c.CanExpire() && c.Remaining(time.Now()) <= 0 {
			return creds.Credentials{}, &usererr.Error{
				Code:    usererr.LoginRequired,
				Msg:     fmt.Sprintf("%s the keys of profile %q ended at %s", at(id), s.Name, c.Expires.UTC().Format(time.RFC3339)),
				Hint:    "run the program that wrote them again",
				Changed: changed,
			}
		}
		return c, nil
	})
	return &link{provider: provider, timeout: callTimeout, key: []string{"keys=" + id.Text}}, nil
}

// keysExpiry reads what programs that write temporary keys into the credentials
// file add to them. Only keys with a session token can end.
func keysExpiry(s *awsconfig.Section) time.Time {
	if !s.Has("aws_session_token") {
		return time.Time{}
	}
	for _, key := range []string{"x_security_token_expires", "aws_session_expiration", "aws_expiration", "expiration"} {
		if t, err := time.Parse(time.RFC3339, s.Text(key)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// envLink gives the keys in rolecall's own environment.
func (r *Resolver) envLink() (*link, error) {
	id, secret := r.cfg.Getenv("AWS_ACCESS_KEY_ID"), r.cfg.Getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		missing := "AWS_ACCESS_KEY_ID"
		if id != "" {
			missing = "AWS_SECRET_ACCESS_KEY"
		}
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: missing + " is not set in the environment of this process", Hint: "set it where rolecall is started, or load a profile"}
	}
	c := creds.Credentials{
		AccessKeyID:     id,
		SecretAccessKey: creds.NewSecret(secret),
		SessionToken:    creds.NewSecret(r.cfg.Getenv("AWS_SESSION_TOKEN")),
		AccountID:       r.cfg.Getenv("AWS_ACCOUNT_ID"),
	}
	if !c.SessionToken.IsZero() {
		c.Expires, _ = time.Parse(time.RFC3339, r.cfg.Getenv("AWS_CREDENTIAL_EXPIRATION"))
	}
	provider := creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
		if c.CanExpire() && c.Remaining(time.Now()) <= 0 {
			return creds.Credentials{}, &usererr.Error{Code: usererr.LoginRequired, Msg: "the keys in the environment ended at " + c.Expires.UTC().Format(time.RFC3339), Hint: "start rolecall again with new ones, or load a profile"}
		}
		return c, nil
	})
	return &link{provider: provider, region: r.region(nil), timeout: callTimeout, key: []string{"keys=" + id}}, nil
}
