package source

import (
	"context"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// defaultLink is the chain of the AWS SDK for Go: the first of these that is
// configured, and no other when that one fails: keys in the environment, a web
// identity there, the profile of AWS_PROFILE (else "default"), the container
// endpoint, the instance metadata service. It is built here and not by the
// SDK so that its errors say what to do and never what a helper program wrote.
func (r *Resolver) defaultLink() (*link, error) {
	switch {
	case r.cfg.Getenv("AWS_ACCESS_KEY_ID") != "" && r.cfg.Getenv("AWS_SECRET_ACCESS_KEY") != "":
		return r.envLink()
	case r.cfg.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return r.envWebIdentityLink()
	}
	name := firstOf(r.cfg.Getenv("AWS_PROFILE"), r.cfg.Getenv("AWS_DEFAULT_PROFILE"))
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	s, there := files.Profile(firstOf(name, "default"))
	if name != "" && !there || there && hasAny(s) {
		return r.profileLink(firstOf(name, "default"))
	}
	if r.cfg.Getenv(relativeURI) != "" || r.cfg.Getenv(fullURI) != "" {
		return r.containerLink(nil)
	}
	if r.enabled("AWS_EC2_METADATA_DISABLED") {
		return nil, r.notConfigured("no credentials anywhere: not in the environment, not in profile default, no container endpoint, and the instance metadata service is switched off by AWS_EC2_METADATA_DISABLED",
			"load a profile: `rolecall load` lists all")
	}
	l, err := r.imdsLink(nil)
	if err != nil {
		return nil, err
	}
	l.provider = hinted(l.provider, "no credentials were found before the instance metadata service was asked; load a profile: `rolecall load` lists all")
	return l, nil
}

// hasAny says whether a profile names credentials at all, however incomplete.
func hasAny(s *awsconfig.Section) bool {
	for _, key := range []string{"aws_access_key_id", "aws_secret_access_key", "role_arn", "source_profile", "credential_source",
		"web_identity_token_file", "login_session", "credential_process"} {
		if s.Has(key) {
			return true
		}
	}
	return hasSSO(s)
}

// hinted is p with a hint on errors that have none, and on those that mean that
// nobody is there.
func hinted(p creds.Provider, hint string) creds.Provider {
	return creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
		c, err := p.Retrieve(ctx)
		if err == nil {
			return c, nil
		}
		e := *usererr.From(err)
		if e.Code == usererr.Unavailable || e.Hint == "" {
			e.Hint = hint
		}
		return creds.Credentials{}, &e
	})
}
