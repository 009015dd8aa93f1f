package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"rolecall/internal/creds"
)

const (
	ecsEndpoint = "http://169.254.170.2"
	relativeURI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	fullURI     = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	tokenVar    = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	tokenFile   = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

// containerLink is the role of the ECS task or EKS pod this process runs in, or
// any other endpoint of that protocol.
func (r *Resolver) containerLink(sc *scope) (*link, error) {
	u, err := r.containerURL()
	if err != nil {
		return nil, err
	}
	if err := r.notSelf(u); err != nil {
		return nil, err
	}
	return &link{
		provider: &container{r: r, url: u},
		region:   r.region(sc),
		upstream: kindContainer,
		timeout:  callTimeout,
		key:      []string{"container=" + digest(u.String())},
	}, nil
}

func (r *Resolver) containerURL() (*url.URL, error) {
	from, text := fullURI, r.cfg.Getenv(fullURI)
	if relative := r.cfg.Getenv(relativeURI); relative != "" {
		if !strings.HasPrefix(relative, "/") {
			return nil, &creds.RetrieveError{Code: creds.NotConfigured, Msg: relativeURI + " does not begin with /", Hint: "correct it where rolecall is started"}
		}
		from, text = relativeURI, ecsEndpoint+relative
	}
	if text == "" {
		return nil, &creds.RetrieveError{Code: creds.NotConfigured, Msg: "neither " + relativeURI + " nor " + fullURI + " is set in the environment of this process", Hint: "set it where rolecall is started, or load a profile"}
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &creds.RetrieveError{Code: creds.NotConfigured, Msg: from + " is not a URL with a host", Hint: "write http://HOST:PORT/PATH"}
	}
	return u, nil
}

type container struct {
	r   *Resolver
	url *url.URL
}

// Retrieve asks the endpoint, a second time after a broken connection or a bare
// 5xx.
func (c *container) Retrieve(ctx context.Context) (creds.Credentials, error) {
	if err := c.allowed(ctx); err != nil {
		return creds.Credentials{}, err
	}
	token, err := c.token()
	if err != nil {
		return creds.Credentials{}, err
	}
	for attempt := 1; ; attempt++ {
		watched, seen := watch(ctx)
		got, again, err := c.fetch(watched, token, seen)
		if err == nil || !again || attempt == maxAttempts {
			return got, err
		}
	}
}

// allowed is the host rule of the SDKs: plain http goes to this machine and the
// link-local services of ECS and EKS only, whatever a name resolves to.
func (c *container) allowed(ctx context.Context) error {
	if c.url.Scheme == "https" {
		return nil
	}
	host := c.url.Hostname()
	addresses := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		if addresses, err = net.DefaultResolver.LookupHost(ctx, host); err != nil {
			return unavailable("the name "+host+" of "+fullURI+" was not found", "")
		}
	}
	for _, a := range addresses {
		if addr, err := netip.ParseAddr(a); err != nil || !containerAddr(addr.Unmap()) {
			return &creds.RetrieveError{Code: creds.NotConfigured, Msg: fullURI + " would send a token unencrypted to " + host, Hint: "http:// is accepted for loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23; use https://"}
		}
	}
	return nil
}

func containerAddr(a netip.Addr) bool {
	return a.IsLoopback() || slices.Contains([]string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}, a.String())
}

// token is the Authorization header. The file goes first and is read each time,
// since EKS rotates it.
func (c *container) token() (string, error) {
	from, token := tokenVar, c.r.cfg.Getenv(tokenVar)
	var changed func() bool
	if path := c.r.cfg.Getenv(tokenFile); path != "" {
		changed = fileChanged(path)
		text, err := readSmall(path, maxTokenFile)
		if err != nil {
			return "", &creds.RetrieveError{Code: creds.NotConfigured, Msg: tokenFile + ": " + err.Error(), Hint: "correct the path, or the permissions of the file", Changed: changed}
		}
		from, token = path, string(text)
	}
	if strings.ContainsAny(token, "\r\n\x00") {
		return "", &creds.RetrieveError{Code: creds.NotConfigured, Msg: "the authorization token in " + from + " holds a newline, which no SDK accepts", Hint: "write it without one: printf %s TOKEN > FILE", Changed: changed}
	}
	return token, nil
}

// containerAnswer is the document of the endpoint (SDKs and Tools Reference
// Guide, "Container credential provider").
type containerAnswer struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      *time.Time
	AccountID       string `json:"AccountId"`
	RoleARN         string `json:"RoleArn"`
	Code            string
}

// fetch asks once; again says whether a second try makes sense.
func (c *container) fetch(ctx context.Context, token string, seen *exchange) (got creds.Credentials, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url.String(), nil)
	if err != nil {
		return got, false, unavailable("the container endpoint cannot be asked", "")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.r.cfg.UserAgent)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	op := operation{name: "the container endpoint at " + c.url.Host}
	resp, err := c.r.direct.Do(req)
	if err != nil {
		return got, !isTimeout(err) && !errors.Is(err, errTooLarge), op.failed(err, seen)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return got, false, op.failed(err, seen)
	}
	if resp.StatusCode != http.StatusOK {
		return got, resp.StatusCode >= 500 && resp.Header.Get("Retry-After") == "", c.refused(resp.StatusCode, seen)
	}
	var a containerAnswer
	if json.Unmarshal(text, &a) != nil {
		return got, false, unavailable(op.name+" answered with something that is not the JSON of credentials", "")
	}
	if a.Code != "" && !strings.EqualFold(a.Code, "Success") || a.AccessKeyID == "" || a.SecretAccessKey == "" {
		return got, false, unavailable(op.name+" answered without keys", "")
	}
	got = creds.Credentials{
		AccessKeyID:     a.AccessKeyID,
		SecretAccessKey: creds.NewSecret(a.SecretAccessKey),
		SessionToken:    creds.NewSecret(a.Token),
		AccountID:       a.AccountID,
		RoleARN:         a.RoleARN,
		ObservedAt:      seen.observed(),
	}
	if a.Expiration != nil {
		got.Expires = told(*a.Expiration)
	}
	got, err = complete(got, op.name)
	return got, false, err
}

// refused is the error for an answer other than 200.
func (c *container) refused(status int, seen *exchange) error {
	_, retryAfter, _ := seen.last()
	e := &creds.RetrieveError{Code: creds.Unavailable, Msg: fmt.Sprintf("the container endpoint at %s answered with status %d", c.url.Host, status), RetryAfter: retryAfter}
	switch {
	case status == http.StatusTooManyRequests:
		e.Code = creds.Throttled
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Code, e.Hint = creds.AccessDenied, "look at "+tokenFile+" and "+tokenVar
	case status == http.StatusBadRequest || status == http.StatusNotFound:
		e.Code, e.Hint = creds.NotConfigured, "look at "+relativeURI+" and "+fullURI
	}
	return e
}
