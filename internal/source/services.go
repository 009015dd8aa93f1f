package source

import (
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"rolecall/internal/awsconfig"
	"rolecall/internal/usererr"
)

// Endpoint is where a service of AWS is asked with a source's credentials, as
// the SDK's clients take it.
type Endpoint struct {
	Base      *string // nil: the SDK's own for the region
	FIPS      aws.FIPSEndpointState
	DualStack aws.DualStackEndpointState
}

// Endpoint finds where service (iam, ec2, ecs, sts, …) is asked with the
// credentials of a source: AWS_ENDPOINT_URL_X, AWS_ENDPOINT_URL, and what the
// source's profile says. region "" stands for that of the partition aws.
func (r *Resolver) Endpoint(text, service, region string) (Endpoint, error) {
	s, err := r.parse(text)
	if err != nil {
		return Endpoint{}, err
	}
	for s.kind == kindRole {
		s = *s.base
	}
	if s.kind == kindDefault {
		s = spec{kind: kindProfile, arg: firstOf(r.cfg.Getenv("AWS_PROFILE"), "default")}
	}
	var sc *scope
	if s.kind == kindProfile {
		files, err := r.files()
		if err != nil {
			return Endpoint{}, err
		}
		if section, ok := files.Profile(s.arg); ok {
			sc = &scope{files, []*awsconfig.Section{section}}
		}
	}
	if region == "" {
		region = mainRegion("")
	}
	found, err := r.service(service, region, sc)
	return Endpoint{found.baseEndpoint(), found.fipsState(), found.dualStackState()}, err
}

// HTTPClient is one for calls to AWS whose answers are larger than credentials:
// with the proxies of the environment and the roots of AWS_CA_BUNDLE, and
// without following redirects.
func (r *Resolver) HTTPClient() (*http.Client, error) {
	if r.tlsErr != nil {
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: r.tlsErr.Error(), Hint: "correct AWS_CA_BUNDLE and start again", Err: r.tlsErr}
	}
	roots, err := caBundle(r.cfg.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, r.notConfigured(strings.TrimSpace(err.Error()), "correct AWS_CA_BUNDLE")
	}
	client := newClient(proxyExceptLocal, roots)
	if t, ok := client.Transport.(*transport); ok {
		plain := t.next
		plain.ResponseHeaderTimeout = 30 * time.Second // some lists take their time
		plain.IdleConnTimeout = 30 * time.Second
		plain.DisableCompression = false
		client.Transport = plain
	}
	return client, nil
}
