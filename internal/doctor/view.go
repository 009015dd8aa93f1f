package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"rolecall/internal/awsconfig"
)

// view is a program with its files read once, for all SDKs.
type view struct {
	Program
	files    *awsconfig.Files // nil when they cannot be read
	filesErr error
	strict   Evidence // a line that ends SDKs with StrictFiles; no Text: there is none
	resolve  lookup
}

func newView(p Program, resolve lookup) *view {
	v := &view{Program: p}
	v.files, v.strict, v.filesErr = p.awsFiles()
	known := map[string]func() []netip.Addr{}
	var mu sync.Mutex // guards known; checks run side by side
	v.resolve = func(host string) []netip.Addr {
		mu.Lock()
		if known[host] == nil {
			known[host] = sync.OnceValue(func() []netip.Addr { return resolve(host) })
		}
		once := known[host]
		mu.Unlock()
		return once()
	}
	return v
}

// profile is the profile that the SDK uses and the variable that names it, ""
// for the default one. The section is nil when it is not there.
func (v *view) profile(s SDK) (name, variable string, section *awsconfig.Section) {
	variable, name = v.Env.First(s.Profiles...)
	if name == "" {
		name = "default"
	}
	if v.files != nil {
		section, _ = v.files.Profile(name)
	}
	return name, variable, section
}

// ways are how a profile gives credentials, in no order.
func ways(s *awsconfig.Section) (found []Way) {
	if s == nil {
		return nil
	}
	has := func(key string) bool { v, _ := s.Get(key); return v.Text != "" || !v.Secret.IsZero() }
	role := has("role_arn")
	if role && has("web_identity_token_file") {
		found = append(found, WayIdentity)
	} else if role && (has("source_profile") || has("credential_source")) {
		found = append(found, WayRole)
	}
	if has("sso_session") || has("sso_start_url") {
		found = append(found, WaySSO)
	}
	if has("aws_access_key_id") && has("aws_secret_access_key") {
		found = append(found, WayKeys)
	}
	if has("credential_process") {
		found = append(found, WayProcess)
	}
	if has("login_session") {
		found = append(found, WayLogin)
	}
	return found
}

// containerURL is where the SDK asks for container credentials, and the
// variable that says so; "" for both when it does not.
func (v *view) containerURL(s SDK) (text, variable string) {
	relative, there := v.Env.Lookup(varRelative)
	if relative != "" || there && s.EmptyIsSet {
		return relativeBase + relative, varRelative
	}
	if full := v.Env.Get(varFull); full != "" {
		return full, varFull
	}
	return "", ""
}

// token is the authorization token that the SDK sends, and where it is from.
type token struct {
	text  string // never shown
	from  string // the variable, or the file's path; "": none
	file  bool
	err   error // of reading the file
	cause string
	say   string // what is wrong with it, "" nothing
}

func (v *view) token(s SDK) token {
	file, text := v.Env.Get(varTokenFile), v.Env.Get(varToken)
	if text != "" && (s.TokenFirst || file == "") {
		return s.judge(token{text: text, from: varToken})
	}
	if file == "" {
		return token{}
	}
	t := token{from: file, file: true}
	t.text, t.err = v.readSmall(file)
	switch {
	case errors.Is(t.err, errUnseen):
	case errors.Is(t.err, fs.ErrNotExist):
		t.cause, t.say = "container.token-file-missing", "the authorization token file is not there"
	case errors.Is(t.err, fs.ErrPermission):
		t.cause, t.say = "container.token-file-unreadable", "the authorization token file cannot be read"
	case t.err != nil:
		t.cause, t.say = "container.token-file-unreadable", "the authorization token file cannot be read: "+plain(t.err)
	case strings.TrimSpace(t.text) == "":
		t.cause, t.say = "container.token-file-empty", "the authorization token file is empty"
	default:
		return s.judge(t)
	}
	return t
}

// judge looks at what stands in a token.
func (s SDK) judge(t token) token {
	if s.Newline == Trimmed {
		t.text = strings.TrimSpace(t.text)
	}
	if strings.ContainsAny(t.text, "\r\n") {
		t.cause, t.say = "container.token-newline", "the authorization token has a line break"
	}
	return t
}

// plain is an error of the file system without the path, which is told beside.
func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// imdsURL is the base URL of the instance metadata service for the SDK, with
// where it is set; cause and say tell why the SDK refuses it.
func (v *view) imdsURL(s SDK) (base, from, cause, say string) {
	_, _, section := v.profile(s)
	setting := func(variable, key string) (string, string) {
		if text := v.Env.Get(variable); text != "" {
			return text, variable
		}
		if val, ok := section.Get(key); ok && val.Text != "" {
			return val.Text, v.at(val)
		}
		return "", ""
	}
	mode, modeFrom := setting(varIMDSMode, "ec2_metadata_service_endpoint_mode")
	is := func(want string) bool { return mode == want || !s.ModeExact && strings.EqualFold(mode, want) }
	known := mode == "" || is("IPv4") || is("IPv6")
	base, from = setting(varIMDS, "ec2_metadata_service_endpoint")
	switch {
	case !known && (base == "" || s.ModeChecked):
		return "", modeFrom, "imds.mode-invalid", fmt.Sprintf("%s is neither IPv4 nor IPv6", quote(mode))
	case base == "" && is("IPv6"):
		return imdsBaseV6, modeFrom, "", ""
	case base == "":
		return imdsBase, modeFrom, "", ""
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return base, from, "imds.endpoint-invalid", "the endpoint is no http:// URL"
	}
	if s.LocalIMDS && u.Scheme == "http" && base != imdsBase && base != imdsBaseV6 && !loopback(u.Hostname(), v.resolve) {
		return base, from, "imds.endpoint-refused", "over http it takes loopback and the usual addresses only"
	}
	return base, from, "", ""
}

func loopback(host string, resolve lookup) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	addrs := resolve(host)
	for _, a := range addrs {
		if !a.IsLoopback() {
			return false
		}
	}
	return len(addrs) > 0
}

// at is "file:line" as the program names the file.
func (v *view) at(val awsconfig.Value) string {
	if val.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", val.File, val.Line)
}

// quote is a value that may be shown, short and on one line.
func quote(text string) string {
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return fmt.Sprintf("%q", text)
}

// The variables of the container and metadata endpoints.
const (
	varRelative  = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	varFull      = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	varToken     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	varTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	varIMDS      = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	varIMDSMode  = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
	varIMDSOff   = "AWS_EC2_METADATA_DISABLED"
	varKeyID     = "AWS_ACCESS_KEY_ID"
	varSecret    = "AWS_SECRET_ACCESS_KEY"
	varSession   = "AWS_SESSION_TOKEN"
	varIdentity  = "AWS_WEB_IDENTITY_TOKEN_FILE"
	varRole      = "AWS_ROLE_ARN"
)
