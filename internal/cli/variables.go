package cli

import (
	"net/url"
	"slices"
	"strings"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
)

// handout is how a program reaches its credentials.
type handout struct {
	URL       string       // of the credentials
	IMDS      string       // of the metadata service, to be used in place of URL; "": not
	TokenFile string       // the authorization token's; "": none
	Token     creds.Secret // the authorization token itself, for programs that cannot read TokenFile; zero: none
	Region    string       // "": unknown, the program's own setting stays
	NoFiles   bool         // hide the AWS files from the program
}

type variable struct{ name, value string }

const (
	varURI       = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	varToken     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	varIMDS      = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	varTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

// shadowing are the variables that SDKs look at before the container
// credentials, or that contradict them. They must be unset: botocore, Rust and
// Ruby take some of them for set even when they are empty.
var shadowing = [...]string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION",
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", varToken, varTokenFile,
}

// shadowingIMDS are those beside them that SDKs look at before the metadata
// service, or that turn it off.
var shadowingIMDS = [...]string{varURI, "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"}

// usualIMDS is where SDKs ask when nothing names a metadata service, as
// `serve --link-local` shows it. The SDK for PHP takes that address in no other
// spelling than its own, which the aws CLI 2.9 does not take.
const usualIMDS = "http://169.254.169.254:80/"

// variables are those to set and those to unset. Of token and token file only
// one is set: Java takes the token first, all others the file.
func (h handout) variables() (set []variable, unset []string) {
	hide := shadowing[:]
	switch h.IMDS {
	case "":
		set = append(set, variable{varURI, h.URL})
	case usualIMDS:
		hide = append(slices.Concat(hide, shadowingIMDS[:]), varIMDS)
	default:
		set = append(set, variable{varIMDS, h.IMDS})
		hide = slices.Concat(hide, shadowingIMDS[:])
	}
	switch {
	case h.IMDS != "": // it takes no authorization token
	case !h.Token.IsZero():
		set = append(set, variable{varToken, h.Token.Reveal()})
	case h.TokenFile != "":
		set = append(set, variable{varTokenFile, h.TokenFile})
	}
	if h.Region != "" {
		set = append(set, variable{"AWS_REGION", h.Region}, variable{"AWS_DEFAULT_REGION", h.Region})
	}
	if h.NoFiles {
		set = append(set, variable{"AWS_CONFIG_FILE", noFile}, variable{"AWS_SHARED_CREDENTIALS_FILE", noFile})
	}
	for _, name := range hide {
		if !slices.ContainsFunc(set, func(v variable) bool { return v.name == name }) {
			unset = append(unset, name)
		}
	}
	return set, unset
}

// environ is env with the variables set and unset.
func (h handout) environ(env []string) []string {
	set, unset := h.variables()
	drop := map[string]bool{}
	for _, v := range set {
		drop[v.name] = true
	}
	for _, name := range unset {
		drop[name] = true
	}
	out := make([]string, 0, len(env)+len(set))
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); !drop[foldName(name)] {
			out = append(out, e)
		}
	}
	for _, v := range set {
		out = append(out, v.name+"="+v.value)
	}
	return out
}

// pathOf is the path of a slot's credentials, or of a source's.
func pathOf(slot, source string) string {
	switch {
	case source != "":
		return "/source/" + escape(source)
	case slot != "":
		return "/slot/" + escape(slot)
	}
	return "/creds"
}

// escape is url.PathEscape that leaves no character over that a shell, a dotenv
// file or an SDK's own URL parser might see a meaning in.
func escape(name string) string {
	return strings.NewReplacer("$", "%24", "&", "%26", "+", "%2B", "=", "%3D", "~", "%7E", "@", "%40").Replace(url.PathEscape(name))
}

// defaultShadows says where the AWS files have a profile "default" that gives
// credentials. Every SDK and the aws CLI look at it before the container
// credentials, whatever variables are set; "" when there is none.
func defaultShadows(f *awsconfig.Files) string {
	s, ok := f.Profile("default")
	if !ok {
		return ""
	}
	for _, key := range []string{"aws_access_key_id", "credential_process", "role_arn", "sso_session", "sso_start_url", "login_session", "web_identity_token_file"} {
		if v, ok := s.Get(key); ok {
			return v.File
		}
	}
	return ""
}

// warnOfDefault says so when the profile default would win.
func (a *app) warnOfDefault(h handout) {
	if h.NoFiles {
		return
	}
	f, err := a.awsFiles()
	if err != nil {
		return
	}
	if file := defaultShadows(f); file != "" {
		a.warn("the profile [default] in "+file+" gives credentials, and every SDK takes those first",
			"give that profile another name, or use --no-aws-files")
	}
}
