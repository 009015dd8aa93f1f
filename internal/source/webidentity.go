package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/privatefile"
	"rolecall/internal/usererr"
)

const maxTokenFile = 64 << 10 // bytes; STS takes tokens of 20,000

// webIdentityLink is the role of a profile assumed with an OIDC token in a file.
func (r *Resolver) webIdentityLink(s *awsconfig.Section, sc *scope) (*link, error) {
	file, _ := s.Get("web_identity_token_file")
	role, _ := s.Get("role_arn")
	if role.Text == "" {
		return nil, r.notConfigured(fmt.Sprintf("%s profile %q has web_identity_token_file but no role_arn", at(file), s.Name), "add role_arn = arn:aws:iam::ACCOUNT:role/NAME")
	}
	w := webIdentity{arn: role.Text, file: file.Text, label: fmt.Sprintf("profile %q", s.Name), sessionName: s.Text("role_session_name"), duration: r.duration(s)}
	l, err := r.webIdentity(w, sc)
	if err != nil && usererr.From(err).Code == usererr.NotConfigured {
		e := usererr.From(err)
		return nil, r.notConfigured(at(role)+" "+e.Msg, e.Hint)
	}
	return l, err
}

// envWebIdentityLink is the same from AWS_WEB_IDENTITY_TOKEN_FILE and
// AWS_ROLE_ARN, as EKS sets them.
func (r *Resolver) envWebIdentityLink() (*link, error) {
	return r.webIdentity(webIdentity{
		arn: r.cfg.Getenv("AWS_ROLE_ARN"), file: r.cfg.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"),
		label: "AWS_WEB_IDENTITY_TOKEN_FILE", sessionName: r.cfg.Getenv("AWS_ROLE_SESSION_NAME"),
	}, nil)
}

func (r *Resolver) webIdentity(w webIdentity, sc *scope) (*link, error) {
	if err := checkRoleARN(w.arn); err != nil {
		return nil, err
	}
	var err error
	if w.sts, err = r.service("sts", firstOf(r.region(sc), mainRegion(w.arn)), sc); err != nil {
		return nil, err
	}
	w.r = r
	w.sessionName = firstOf(w.sessionName, defaultSessionName)
	return &link{
		provider: &w,
		region:   r.region(sc),
		upstream: w.sts.upstream(),
		timeout:  callTimeout,
		key:      []string{fmt.Sprintf("web=%s %s %s %d", w.arn, w.file, w.sessionName, w.duration), w.sts.key()},
	}, nil
}

type webIdentity struct {
	r                             *Resolver
	arn, file, label, sessionName string
	duration                      int32
	sts                           service
}

// Retrieve reads the token anew, since it is rotated, and calls
// sts:AssumeRoleWithWebIdentity without a signature.
func (w *webIdentity) Retrieve(ctx context.Context) (creds.Credentials, error) {
	token, err := readTokenFile(w.file)
	if err != nil {
		return creds.Credentials{}, &usererr.Error{
			Code: usererr.NotConfigured, Msg: w.label + ": " + err.Error(), Hint: "whoever issues the token must write that file", Changed: fileChanged(w.file),
		}
	}
	in := &sts.AssumeRoleWithWebIdentityInput{RoleArn: &w.arn, RoleSessionName: &w.sessionName, WebIdentityToken: &token}
	if w.duration > 0 {
		in.DurationSeconds = &w.duration
	}
	client, err := w.r.stsClient(w.sts, creds.Credentials{})
	if err != nil {
		return creds.Credentials{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.AssumeRoleWithWebIdentity(ctx, in)
	if err != nil {
		return creds.Credentials{}, operation{
			name:       "sts AssumeRoleWithWebIdentity",
			subject:    w.arn,
			secrets:    []creds.Secret{creds.NewSecret(token)},
			loginHint:  "the token in " + w.file + " is no longer good: whoever issues it must write a new one",
			deniedHint: "look at the role's trust policy and the identity provider in IAM",
			changed:    fileChanged(w.file),
		}.failed(err, seen)
	}
	return fromSTS(out.Credentials, w.arn, w.label, seen)
}

// readTokenFile reads a small file that holds a token and maybe white space
// around it. Errors name the file and never hold its content.
func readTokenFile(path string) (string, error) {
	text, err := readSmall(path, maxTokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return token, nil
}

// missingFile is the path of a file that is not there.
type missingFile string

func (m missingFile) Error() string { return string(m) + " is not there" }

// Is makes it an fs.ErrNotExist.
func (m missingFile) Is(target error) bool { return target == fs.ErrNotExist }

// readSmall reads a regular file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	text, err := privatefile.ReadForeign(path, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingFile(path)
	}
	return text, err
}

// fileChanged says later whether path is another file than now.
func fileChanged(path string) func() bool {
	look := func() [2]int64 {
		info, err := os.Stat(path)
		if err != nil {
			return [2]int64{-1, -1}
		}
		return [2]int64{info.Size(), info.ModTime().UnixNano()}
	}
	now := look()
	return func() bool { return look() != now }
}
