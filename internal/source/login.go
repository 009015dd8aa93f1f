package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/credentials/logincreds"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/shellword"
	"rolecall/internal/sso"
	"rolecall/internal/usererr"
)

// loginLink is a session of `aws login`, which the SDK reads and refreshes in
// the AWS CLI's cache.
func (r *Resolver) loginLink(s *awsconfig.Section, sc *scope) (*link, error) {
	session, _ := s.Get("login_session")
	dir := r.cfg.Getenv("AWS_LOGIN_CACHE_DIRECTORY")
	if dir == "" {
		if r.cfg.Home == "" {
			return nil, r.notConfigured("there is no home directory to read .aws/login/cache from", "set HOME")
		}
		dir = filepath.Join(r.cfg.Home, ".aws", "login", "cache")
	}
	path, err := logincreds.StandardCachedTokenFilepath(session.Text, dir)
	if err != nil {
		return nil, r.notConfigured(at(session)+" login_session cannot be used", "run `aws login --profile "+shellword.Word(s.Name)+"`")
	}
	svc, err := r.service("signin", firstOf(r.region(sc), mainRegion(session.Text)), sc)
	if err != nil {
		return nil, err
	}
	return &link{
		provider: &loginSession{r: r, path: path, session: session.Text, signin: svc, hint: "aws login --profile " + shellword.Word(s.Name)},
		upstream: svc.upstream(),
		timeout:  callTimeout,
		key:      []string{"login=" + session.Text, svc.key()},
	}, nil
}

type loginSession struct {
	r             *Resolver
	path, session string
	signin        service
	hint          string
}

// Retrieve gives the cached keys, refreshed where they have ended. Those who
// refresh one session at the same time wait for each other.
func (l *loginSession) Retrieve(ctx context.Context) (creds.Credentials, error) {
	if err := l.checkFile(); err != nil {
		return creds.Credentials{}, err
	}
	client, err := l.r.signinClient(l.signin)
	if err != nil {
		return creds.Credentials{}, err
	}
	unlock := sso.Lock(ctx, l.path)
	defer unlock()
	ctx, seen := watch(ctx)
	c, err := retrieveLogin(ctx, logincreds.New(client, l.path, func(o *logincreds.Options) { o.RestrictPermissions = true }))
	if err != nil {
		return creds.Credentials{}, l.failed(err, seen)
	}
	c.ObservedAt = seen.observed()
	c.RoleName = creds.RoleNameFromARN(l.session)
	return c, nil
}

// checkFile refuses what the SDK would trip over.
func (l *loginSession) checkFile() error {
	text, err := readSmall(l.path, maxCacheFile)
	if errors.Is(err, fs.ErrNotExist) {
		return l.loginRequired("nobody has signed in with `aws login`", nil)
	}
	if err != nil {
		return l.r.notConfigured("the cached session of `aws login` cannot be read: "+err.Error(), "correct the permissions of "+l.path)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil || object == nil {
		return l.loginRequired("the cached session in "+l.path+" is damaged", nil)
	}
	return nil
}

// retrieveLogin turns a panic of the SDK, which has one for a key that is no
// PEM, into an error.
func retrieveLogin(ctx context.Context, p *logincreds.Provider) (c creds.Credentials, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("unreadable session")
		}
	}()
	got, err := p.Retrieve(ctx)
	if err != nil {
		return creds.Credentials{}, err
	}
	return creds.Credentials{
		AccessKeyID:     got.AccessKeyID,
		SecretAccessKey: creds.NewSecret(got.SecretAccessKey),
		SessionToken:    creds.NewSecret(got.SessionToken),
		Expires:         got.Expires.UTC(),
		AccountID:       got.AccountID,
	}, nil
}

// failed maps the SDK's error. It hides the code of most refusals, so that the
// status has to do: without an answer and without a time-out it was the file.
func (l *loginSession) failed(err error, seen *exchange) error {
	status, _, connErr := seen.last()
	if status == 0 && connErr == nil && contextError(err) == nil {
		return l.loginRequired("the cached session in "+l.path+" is incomplete", nil)
	}
	e := operation{name: "signin CreateOAuth2Token", loginHint: l.hint, changed: fileChanged(l.path)}.failed(err, seen)
	if status >= 400 && status < 500 && e.Code != usererr.Throttled {
		return l.loginRequired(fmt.Sprintf("the session of `aws login` has ended (status %d)", status), e.Err)
	}
	return e
}

func (l *loginSession) loginRequired(msg string, cause error) error {
	return &usererr.Error{Code: usererr.LoginRequired, Msg: msg, Hint: l.hint, Changed: fileChanged(l.path), Err: cause}
}
