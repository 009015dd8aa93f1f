package source

import (
	"fmt"
	"net/url"
	"strings"

	"rolecall/internal/awsconfig"
	"rolecall/internal/usererr"
)

// service is where one AWS service is asked.
type service struct {
	name      string // as in hosts: sts, sso, oidc, signin
	region    string
	endpoint  string // "" for the SDK's own
	fips      bool
	dualstack bool
}

// upstream is the bucket for limits on the rate of calls.
func (s service) upstream() string { return s.name + "/" + s.region }

// key tells two services apart.
func (s service) key() string {
	return fmt.Sprintf("%s=%s %s %t %t", s.name, s.region, s.endpoint, s.fips, s.dualstack)
}

// names are those of a service in settings (AWS SDKs and Tools Reference Guide,
// service-specific endpoints).
func (s service) names() (variable, section string) {
	switch s.name {
	case "oidc":
		return "AWS_ENDPOINT_URL_SSO_OIDC", "sso_oidc"
	default:
		return "AWS_ENDPOINT_URL_" + strings.ToUpper(s.name), s.name
	}
}

// scope is what settings are looked up in: the profile that was asked for, then
// the one of the chain that makes the call. files is nil outside profiles.
type scope struct {
	files    *awsconfig.Files
	sections []*awsconfig.Section
}

// value is the first that a profile in scope has for key.
func (sc *scope) value(key string) (awsconfig.Value, bool) {
	if sc == nil {
		return awsconfig.Value{}, false
	}
	for _, s := range sc.sections {
		if v, ok := s.Get(key); ok && v.Text != "" {
			return v, true
		}
	}
	return awsconfig.Value{}, false
}

// own is the value in the profile that makes the call, else in the one that
// was asked for.
func (sc *scope) own(key string) string { return sc.ownValue(key).Text }

// ownValue is own with where it stands; empty where no profile says.
func (sc *scope) ownValue(key string) awsconfig.Value {
	if sc == nil {
		return awsconfig.Value{}
	}
	for i := len(sc.sections) - 1; i >= 0; i-- {
		if v, ok := sc.sections[i].Get(key); ok && v.Text != "" {
			return v
		}
	}
	return awsconfig.Value{}
}

// region is the profile's, else the environment's, else "". Unlike in the SDKs
// the profile goes first: AWS_REGION of a daemon says nothing of a profile's
// partition.
func (r *Resolver) region(sc *scope) string {
	for _, region := range []string{sc.own("region"), r.cfg.Getenv("AWS_REGION"), r.cfg.Getenv("AWS_DEFAULT_REGION")} {
		if region != "" {
			return region
		}
	}
	return ""
}

// mainRegion is a region that every account of the ARN's partition can use.
func mainRegion(arn string) string {
	switch parts := strings.SplitN(arn, ":", 3); {
	case len(parts) < 3:
		return "us-east-1"
	case parts[1] == "aws-cn":
		return "cn-north-1"
	case parts[1] == "aws-us-gov":
		return "us-gov-west-1"
	case parts[1] == "aws-iso":
		return "us-iso-east-1"
	case parts[1] == "aws-iso-b":
		return "us-isob-east-1"
	case parts[1] == "aws-eusc":
		return "eusc-de-east-1"
	}
	return "us-east-1"
}

// service resolves where name is asked: AWS_ENDPOINT_URL_X, AWS_ENDPOINT_URL,
// the services section, endpoint_url of the profile, in this order.
func (r *Resolver) service(name, region string, sc *scope) (service, error) {
	s := service{name: name, region: region}
	if !validRegion(region) {
		return s, r.notConfigured(fmt.Sprintf("%q is not a region", region), "correct region in the profile, or AWS_REGION")
	}
	s.fips = r.toggle("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", sc)
	s.dualstack = r.toggle("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", sc)
	if r.toggle("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls", sc) {
		return s, nil
	}
	v, from := r.endpointURL(s, sc)
	if v.Text == "" {
		return s, nil
	}
	local, msg := checkEndpoint(v.Text)
	if msg != "" {
		return s, r.notConfigured(from+" "+msg, "http:// is accepted for this machine only (localhost, loopback and link-local addresses); use https://")
	}
	if v.File != "" && !local { // it is told SSO tokens
		if err := r.trusted(v, "endpoint_url is not followed"); err != nil {
			return s, err
		}
	}
	s.endpoint = strings.TrimSuffix(v.Text, "/")
	s.fips, s.dualstack = false, false // the SDK refuses them beside an endpoint
	return s, nil
}

// endpointURL is the URL with the file it is from, and where it stands.
func (r *Resolver) endpointURL(s service, sc *scope) (v awsconfig.Value, from string) {
	variable, section := s.names()
	for _, name := range []string{variable, "AWS_ENDPOINT_URL"} {
		if text := r.cfg.Getenv(name); text != "" {
			return awsconfig.Value{Text: text}, name
		}
	}
	if v, ok := sc.value("services"); ok {
		services, _ := sc.files.Services(v.Text)
		if v, ok := services.Sub(section, "endpoint_url"); ok && v.Text != "" {
			return v, at(v)
		}
	}
	if v, ok := sc.value("endpoint_url"); ok {
		return v, at(v)
	}
	return awsconfig.Value{}, ""
}

// toggle reads a boolean: the variable where it is set, else the profile's.
func (r *Resolver) toggle(variable, key string, sc *scope) bool {
	if text := r.cfg.Getenv(variable); text != "" {
		return strings.EqualFold(text, "true")
	}
	v, _ := sc.value(key)
	return strings.EqualFold(v.Text, "true")
}

// checkEndpoint says whether an endpoint's URL is this machine's, and what is
// wrong with it, "" for nothing. It does not repeat the URL, which may hold a
// password.
func checkEndpoint(text string) (local bool, msg string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false, "is not an endpoint: it must be https://HOST, with no user, query or fragment"
	}
	local = localHost(u.Hostname())
	switch {
	case u.Scheme == "https", u.Scheme == "http" && local:
		return local, ""
	case u.Scheme == "http":
		return false, "would send credentials unencrypted to " + u.Host
	}
	return false, "is neither https:// nor http://"
}

// validRegion takes what can be part of a host's name.
func validRegion(region string) bool {
	return region != "" && len(region) <= 63 && strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && region[0] != '-'
}

// at is "file:line", for messages.
func at(v awsconfig.Value) string { return fmt.Sprintf("%s:%d:", v.File, v.Line) }

// notConfigured is an error that ends when the AWS files change.
func (r *Resolver) notConfigured(msg, hint string) *usererr.Error {
	return &usererr.Error{Code: usererr.NotConfigured, Msg: msg, Hint: hint, Changed: r.filesChanged()}
}

// filesChanged says later whether the AWS files are others than now.
func (r *Resolver) filesChanged() func() bool {
	paths := r.paths()
	now := paths.Fingerprint()
	return func() bool { return paths.Fingerprint() != now }
}
