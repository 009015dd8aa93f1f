package source

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

const (
	ecsEndpoint = "http://169.254.170.2"
	relativeURI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	fullURI     = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	tokenVar    = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	tokenFile   = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

// Agents ask AWS themselves before they answer, so that one attempt may take a
// while.
const (
	containerAttempts = 3
	containerTimeout  = headerTimeout
	containerTotal    = 9 * time.Second
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
		provider: &container{r: r, url: u, ask: asker{client: r.direct, userAgent: r.cfg.UserAgent, attempts: containerAttempts, timeout: containerTimeout, total: containerTotal}},
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
			return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: relativeURI + " does not begin with /", Hint: "correct it where rolecall is started"}
		}
		from, text = relativeURI, ecsEndpoint+relative
	}
	if text == "" {
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: "neither " + relativeURI + " nor " + fullURI + " is set in the environment of this process", Hint: "set it where rolecall is started, or load a profile"}
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: from + " is not a URL with a host", Hint: "write http://HOST:PORT/PATH"}
	}
	return u, nil
}

type container struct {
	r   *Resolver
	url *url.URL
	ask asker
}

// Retrieve asks the endpoint.
func (c *container) Retrieve(ctx context.Context) (creds.Credentials, error) {
	if err := c.allowed(ctx); err != nil {
		return creds.Credentials{}, err
	}
	token, err := c.token()
	if err != nil {
		return creds.Credentials{}, err
	}
	header := http.Header{"Accept": {"application/json"}}
	if token != "" {
		header.Set("Authorization", token)
	}
	if c.url.Scheme != "https" {
		ctx = only(ctx, containerAddr) // names may lead elsewhere by now
	}
	a, err := c.ask.ask(ctx, http.MethodGet, c.url.String(), header)
	if err != nil {
		return creds.Credentials{}, c.unanswered(err)
	}
	if a.status != http.StatusOK {
		return creds.Credentials{}, c.refused(a, token != "")
	}
	got, err := c.parse(a.body)
	if err != nil {
		return creds.Credentials{}, err
	}
	got.ObservedAt = a.date
	return complete(got, c.name())
}

func (c *container) name() string { return "the container endpoint at " + c.url.Host }

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
			return unavailable("the name "+host+" of "+fullURI+" was not found", "correct it, or write an address")
		}
	}
	for _, a := range addresses {
		if addr, err := netip.ParseAddr(a); err != nil || !containerAddr(addr.Unmap()) {
			return c.unencrypted()
		}
	}
	return nil
}

func (c *container) unencrypted() error {
	return &usererr.Error{Code: usererr.NotConfigured, Msg: fullURI + " would send a token unencrypted to " + c.url.Hostname(), Hint: "http:// is accepted for loopback, 169.254.170.2, 169.254.170.23 and fd00:ec2::23; use https://"}
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
			return "", &usererr.Error{Code: usererr.NotConfigured, Msg: tokenFile + ": " + err.Error(), Hint: "correct the path, or the permissions of the file", Changed: changed}
		}
		from, token = path, string(text)
	}
	switch {
	case strings.ContainsAny(token, "\r\n"):
		return "", &usererr.Error{Code: usererr.NotConfigured, Msg: "the authorization token in " + from + " holds a newline, which no SDK accepts", Hint: "write it without one: printf %s TOKEN > FILE", Changed: changed}
	case strings.ContainsFunc(token, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", &usererr.Error{Code: usererr.NotConfigured, Msg: "the authorization token in " + from + " holds a control character, which no header may", Hint: "write the bare token", Changed: changed}
	}
	return token, nil
}
