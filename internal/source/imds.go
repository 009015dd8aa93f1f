package source

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

const (
	imdsTokenPath = "/latest/api/token"
	imdsRolesPath = "/latest/meta-data/iam/security-credentials/"

	headerIMDSToken = "X-Aws-Ec2-Metadata-Token"
	headerIMDSTTL   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"

	// EC2 replaces a role's credentials about hourly although they live for six
	// hours; whoever takes each set has five hours left when the service fails.
	imdsRotates = time.Hour
)

// imdsLink is the role of the EC2 instance this process runs on. sc may name
// the endpoint, as a profile with credential_source does; nil: see
// imdsSettings.
func (r *Resolver) imdsLink(sc *scope) (*link, error) {
	set, err := r.imdsSettings(sc)
	if err != nil {
		return nil, err
	}
	return &link{
		provider: &instance{
			set:    set,
			tokens: &r.tokens,
			ask:    asker{client: r.direct, userAgent: r.cfg.UserAgent, attempts: set.attempts, timeout: set.timeout, total: set.total},
		},
		region:   r.region(sc),
		upstream: kindIMDS,
		timeout:  set.whole,
		rotates:  imdsRotates,
		key:      []string{"imds=" + set.endpoint, "role=" + set.role},
	}, nil
}

// notSelf refuses an endpoint that is this daemon.
func (r *Resolver) notSelf(u *url.URL) error {
	if r.cfg.Self == nil || !r.cfg.Self(hostPort(u)) {
		return nil
	}
	return &usererr.Error{Code: usererr.NotConfigured, Msg: "the source " + u.Host + " is this daemon itself", Hint: "start rolecall without its own AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_EC2_METADATA_SERVICE_ENDPOINT, or load a profile"}
}

// hostPort is the URL's host with its port, also where that is the usual one.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// instance is the provider of the instance's role.
type instance struct {
	set    imdsSettings
	tokens *imdsTokens
	ask    asker
}

// Retrieve asks for the role's name and then for its credentials; once more
// when the role was exchanged for another in between.
func (i *instance) Retrieve(ctx context.Context) (creds.Credentials, error) {
	in := &visit{instance: i}
	for again := true; ; again = false {
		role, err := in.role(ctx)
		if err != nil {
			return creds.Credentials{}, err
		}
		a, err := in.get(ctx, askDocument, imdsRolesPath+role)
		if err != nil {
			return creds.Credentials{}, err
		}
		if a.status == http.StatusNotFound && again && i.set.role == "" {
			continue
		}
		if a.status != http.StatusOK {
			return creds.Credentials{}, in.refused(askDocument, a)
		}
		c, err := i.parse(a.body)
		if err != nil {
			return creds.Credentials{}, err
		}
		c.RoleName, c.ObservedAt = role, a.date
		return complete(c, "the instance metadata service at "+i.set.host)
	}
}

// visit is one Retrieve.
type visit struct {
	*instance
	v1 bool // there is no IMDSv2 today. The next Retrieve looks again
}

func (in *visit) role(ctx context.Context) (string, error) {
	if in.set.role != "" {
		return in.set.role, nil
	}
	a, err := in.get(ctx, askList, imdsRolesPath)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK {
		return "", in.refused(askList, a)
	}
	role, ok := parseIMDSRole(a.body)
	if !ok {
		return "", unavailable("the instance metadata service at "+in.set.host+" named no role", hintOther)
	}
	return role, nil
}

// get asks with the token, and once more with a new one where it is refused, as
// after a restart of the service.
func (in *visit) get(ctx context.Context, q question, path string) (*answer, error) {
	for again := true; ; again = false {
		token, err := in.token(ctx)
		if err != nil {
			return nil, err
		}
		header := http.Header{}
		if token != "" {
			header.Set(headerIMDSToken, token)
		}
		a, err := in.ask.ask(ctx, http.MethodGet, in.set.endpoint+path, header)
		if err != nil {
			return nil, in.unanswered(q, err)
		}
		if a.status != http.StatusUnauthorized || token == "" {
			return a, nil
		}
		in.tokens.drop(in.set.endpoint, token)
		if !again {
			return a, nil
		}
	}
}

// token is the one that is kept or a new one, and "" where IMDSv1 is to be
// asked: where that is allowed and the service has no tokens to give.
func (in *visit) token(ctx context.Context) (string, error) {
	if in.v1 {
		return "", nil
	}
	if kept, ok := in.tokens.get(in.set.endpoint, time.Now()); ok {
		return kept.Reveal(), nil
	}
	began := time.Now()
	a, err := in.ask.ask(ctx, http.MethodPut, in.set.endpoint+imdsTokenPath, http.Header{headerIMDSTTL: {strconv.Itoa(int(imdsTTL / time.Second))}})
	if err != nil {
		return "", in.unanswered(askToken, err)
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		if in.set.v1 {
			in.v1 = true
			return "", nil
		}
		return "", in.refused(askToken, a)
	default:
		return "", in.refused(askToken, a)
	}
	token, ok := parseIMDSToken(a.body)
	if !ok {
		return "", unavailable("the instance metadata service at "+in.set.host+" answered the token request with something that is no token", hintOther)
	}
	in.tokens.put(in.set.endpoint, imdsToken{creds.NewSecret(token), began.Add(imdsTokenLife(a.header.Get(headerIMDSTTL)))})
	return token, nil
}
