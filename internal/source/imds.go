package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rolecall/internal/creds"
)

const (
	imdsIPv4      = "http://169.254.169.254"
	imdsIPv6      = "http://[fd00:ec2::254]"
	imdsRolesPath = "iam/security-credentials/"
)

// imdsLink is the role of the EC2 instance this process runs on. sc may name
// the endpoint, as a profile with credential_source does.
func (r *Resolver) imdsLink(sc *scope) (*link, error) {
	if r.enabled("AWS_EC2_METADATA_DISABLED") {
		return nil, &creds.RetrieveError{Code: creds.NotConfigured, Msg: "the instance metadata service is switched off by AWS_EC2_METADATA_DISABLED", Hint: "unset it, or load another source"}
	}
	endpoint, err := r.imdsEndpoint(sc)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, r.notConfigured("AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL", "write http://HOST:PORT, or unset it")
	}
	if err := r.notSelf(u); err != nil {
		return nil, err
	}
	// IMDSv1 is asked only where a setting allows it in so many words.
	v1 := strings.EqualFold(firstOf(r.cfg.Getenv("AWS_EC2_METADATA_V1_DISABLED"), sc.own("ec2_metadata_v1_disabled")), "false")
	client := imds.New(imds.Options{
		Endpoint:                 endpoint,
		HTTPClient:               r.direct,
		Retryer:                  newRetryer(),
		DisableDefaultMaxBackoff: true, // newRetryer's is shorter
		ClientEnableState:        imds.ClientEnabled,
		EnableFallback:           aws.BoolTernary(v1),
	})
	return &link{
		provider: &instance{client: client, host: u.Host},
		region:   r.region(sc),
		upstream: kindIMDS,
		timeout:  callTimeout,
		key:      []string{"imds=" + endpoint},
	}, nil
}

// imdsEndpoint follows the AWS SDKs and Tools Reference Guide: the endpoint of
// the environment, of the profile, then the mode of the environment, of the
// profile.
func (r *Resolver) imdsEndpoint(sc *scope) (string, error) {
	if e := firstOf(r.cfg.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), sc.own("ec2_metadata_service_endpoint")); e != "" {
		return e, nil
	}
	mode := firstOf(r.cfg.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), sc.own("ec2_metadata_service_endpoint_mode"))
	switch {
	case mode == "" || strings.EqualFold(mode, "IPv4"):
		return imdsIPv4, nil
	case strings.EqualFold(mode, "IPv6"):
		return imdsIPv6, nil
	}
	return "", r.notConfigured(fmt.Sprintf("%q is not a valid endpoint mode of the instance metadata service", mode), "write IPv4 or IPv6")
}

// notSelf refuses an endpoint that is this daemon.
func (r *Resolver) notSelf(u *url.URL) error {
	if r.cfg.Self == nil || !r.cfg.Self(hostPort(u)) {
		return nil
	}
	return &creds.RetrieveError{Code: creds.NotConfigured, Msg: "the source " + u.Host + " is this daemon itself", Hint: "start rolecall without its own AWS_CONTAINER_CREDENTIALS_FULL_URI and AWS_EC2_METADATA_SERVICE_ENDPOINT, or load a profile"}
}

// hostPort is the URL's host with its port, also where that is the usual one.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// instance is the provider of the instance's role.
type instance struct {
	client *imds.Client
	host   string
}

// Retrieve asks for the role's name and then for its credentials. The SDK's
// provider is not used since it understates the expiration.
func (i *instance) Retrieve(ctx context.Context) (creds.Credentials, error) {
	ctx, seen := watch(ctx)
	list, err := i.get(ctx, imdsRolesPath)
	if err != nil {
		return creds.Credentials{}, i.failed(err, seen)
	}
	role, _, _ := strings.Cut(strings.TrimSpace(string(list)), "\n")
	if role = strings.TrimSpace(role); !validRoleName(role) {
		return creds.Credentials{}, unavailable("the instance metadata service at "+i.host+" named no role", "")
	}
	text, err := i.get(ctx, imdsRolesPath+role)
	if err != nil {
		return creds.Credentials{}, i.failed(err, seen)
	}
	c, err := i.parse(text)
	if err != nil {
		return creds.Credentials{}, err
	}
	c.RoleName = role
	c.ObservedAt = seen.observed()
	return complete(c, "the instance metadata service")
}

func (i *instance) get(ctx context.Context, p string) ([]byte, error) {
	slash := ""
	if strings.HasSuffix(p, "/") {
		slash = "/"
	}
	out, err := i.client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path.Clean(p) + slash})
	if err != nil {
		return nil, err
	}
	defer out.Content.Close()
	return io.ReadAll(out.Content)
}

// instanceAnswer is the document of the metadata service (EC2 user guide,
// "Retrieve security credentials from instance metadata").
type instanceAnswer struct {
	Code            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
	AccountID       string `json:"AccountId"`
}

func (i *instance) parse(text []byte) (creds.Credentials, error) {
	var a instanceAnswer
	if json.Unmarshal(text, &a) != nil {
		return creds.Credentials{}, unavailable("the instance metadata service at "+i.host+" answered with something that is not the JSON of credentials", "")
	}
	switch {
	case a.Code == "AssumeRoleUnauthorizedAccess":
		return creds.Credentials{}, &creds.RetrieveError{Code: creds.AccessDenied, Msg: "EC2 may not assume the instance's role (AssumeRoleUnauthorizedAccess)", Hint: "let ec2.amazonaws.com assume the role in its trust policy"}
	case a.Code != "" && !strings.EqualFold(a.Code, "Success"):
		return creds.Credentials{}, unavailable("the instance metadata service has no credentials: "+safeCode(a.Code), "")
	case a.AccessKeyID == "" || a.SecretAccessKey == "" || a.Token == "" || a.Expiration.IsZero():
		return creds.Credentials{}, unavailable("the instance metadata service answered without keys", "")
	}
	return creds.Credentials{
		AccessKeyID:     a.AccessKeyID,
		SecretAccessKey: creds.NewSecret(a.SecretAccessKey),
		SessionToken:    creds.NewSecret(a.Token),
		Expires:         a.Expiration.UTC(),
		AccountID:       a.AccountID,
	}, nil
}

func (i *instance) failed(err error, seen *exchange) error {
	e := operation{name: "the instance metadata service at " + i.host}.failed(err, seen)
	status, _, _ := seen.last()
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	switch {
	case status == http.StatusNotFound:
		e.Code, e.Msg = creds.NotConfigured, "the instance has no role (the metadata service at "+i.host+" answered 404)"
		e.Hint = "attach an instance profile to the instance"
	case status == http.StatusForbidden:
		e.Code, e.Msg = creds.NotConfigured, "the instance metadata service at "+i.host+" is switched off for this instance (status 403)"
		e.Hint = "switch it on with `aws ec2 modify-instance-metadata-options --http-endpoint enabled`"
	case status == http.StatusTooManyRequests:
	case status == 0:
		e.Hint = "does this run on EC2? in a container the hop limit must be 2 or more"
	case status >= 400:
		e.Code, e.Msg = creds.Unavailable, fmt.Sprintf("the instance metadata service at %s failed (status %d)", i.host, status)
	}
	return e
}
