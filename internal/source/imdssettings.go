package source

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rolecall/internal/awsconfig"
	"rolecall/internal/usererr"
)

const (
	imdsIPv4 = "http://169.254.169.254"
	imdsIPv6 = "http://[fd00:ec2::254]"

	imdsDisabled   = "AWS_EC2_METADATA_DISABLED"
	imdsEndpoint   = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
	imdsMode       = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
	imdsV1Disabled = "AWS_EC2_METADATA_V1_DISABLED"
	imdsTimeout    = "AWS_METADATA_SERVICE_TIMEOUT"
	imdsAttempts   = "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
	imdsRole       = "AWS_EC2_INSTANCE_PROFILE_NAME"
)

// Where nobody sets them: the SDKs' 1 s and one attempt suit a program that
// somebody waits for, less so a refresh ahead of time. A token request that is
// never answered ends before readers of a cold slot are sent away.
const (
	imdsUsualTimeout  = 2 * time.Second
	imdsUsualAttempts = 3
	imdsUsualTotal    = 4200 * time.Millisecond
)

// imdsSettings say how the instance metadata service is asked (AWS SDKs and
// Tools Reference Guide, IMDS credential provider and IMDS client).
type imdsSettings struct {
	endpoint string // with scheme, host and maybe a path; no slash at the end
	host     string // for messages
	v1       bool   // IMDSv1 may be asked where there is no IMDSv2
	v1From   string // the setting that forbids it; "": none does, it is off by itself
	role     string // whose credentials are asked for without a look at the list; "": the list tells
	roleFrom string // the setting that names it

	attempts       int
	timeout, total time.Duration // of an attempt, of a question
	whole          time.Duration // of a Retrieve
}

// imdsSettings reads them; sc nil is the profile of AWS_PROFILE.
func (r *Resolver) imdsSettings(sc *scope) (s imdsSettings, err error) {
	if r.enabled(imdsDisabled) {
		return s, &usererr.Error{Code: usererr.NotConfigured, Msg: "the instance metadata service is switched off by " + imdsDisabled, Hint: "unset it, or load another source"}
	}
	if sc == nil {
		if sc, err = r.activeProfile(); err != nil {
			return s, err
		}
	}
	u, err := r.imdsURL(sc)
	if err != nil {
		return s, err
	}
	if err := r.notSelf(u); err != nil {
		return s, err
	}
	s.endpoint, s.host = strings.TrimRight(u.String(), "/"), u.Host
	v1, from := r.setting(sc, imdsV1Disabled, "ec2_metadata_v1_disabled")
	if s.v1 = strings.EqualFold(v1, "false"); !s.v1 {
		s.v1From = from
	}
	if s.role, s.roleFrom = r.setting(sc, imdsRole, "ec2_instance_profile_name"); s.role != "" && (!validRoleName(s.role) || strings.Contains(s.role, "/")) {
		return s, r.notConfigured(s.roleFrom+" is not the name of an instance profile", "a name has letters, digits and _+=,.@-; unset it to use the instance's own")
	}
	return s, r.imdsPatience(sc, &s)
}

// activeProfile is the scope of a source that is no profile: as in the SDKs,
// the profile of AWS_PROFILE, else [default], where there is one.
func (r *Resolver) activeProfile() (*scope, error) {
	files, err := r.files()
	if err != nil {
		return nil, err
	}
	sc := &scope{files: files}
	if s, ok := files.Profile(firstOf(r.cfg.Getenv("AWS_PROFILE"), r.cfg.Getenv("AWS_DEFAULT_PROFILE"), "default")); ok {
		sc.sections = []*awsconfig.Section{s}
	}
	return sc, nil
}

// setting is the variable's value, else the profile's, and where it is from.
func (r *Resolver) setting(sc *scope, variable, key string) (text, from string) {
	if text := r.cfg.Getenv(variable); text != "" {
		return text, variable
	}
	if v := sc.ownValue(key); v.Text != "" {
		return v.Text, at(v) + " " + key
	}
	return "", ""
}

// imdsURL is where the service is: the endpoint of the environment, of the
// profile, then by the mode of the environment, of the profile.
func (r *Resolver) imdsURL(sc *scope) (*url.URL, error) {
	text, from := r.setting(sc, imdsEndpoint, "ec2_metadata_service_endpoint")
	if text == "" {
		mode, from := r.setting(sc, imdsMode, "ec2_metadata_service_endpoint_mode")
		switch {
		case mode == "" || strings.EqualFold(mode, "IPv4"):
			text = imdsIPv4
		case strings.EqualFold(mode, "IPv6"):
			text = imdsIPv6
		default:
			return nil, r.notConfigured(fmt.Sprintf("%s: %q is not a valid endpoint mode of the instance metadata service", from, mode), "write IPv4 or IPv6")
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, r.notConfigured(from+" is not a URL", "write http://HOST:PORT, or unset it")
	}
	return u, nil
}

// imdsPatience reads how long and how often the service is asked. Who sets
// more than usual gets it: the whole Retrieve may then take up to a minute.
func (r *Resolver) imdsPatience(sc *scope, s *imdsSettings) error {
	s.timeout, s.attempts, s.total, s.whole = imdsUsualTimeout, imdsUsualAttempts, imdsUsualTotal, callTimeout
	timeout, from := r.setting(sc, imdsTimeout, "metadata_service_timeout")
	if timeout != "" {
		seconds, err := strconv.ParseFloat(timeout, 64)
		if err != nil || !(seconds >= 0.001 && seconds <= 60) {
			return r.notConfigured(from+" is not a number of seconds from 0.001 to 60", "unset it for the usual 2 s")
		}
		s.timeout = time.Duration(seconds * float64(time.Second))
	}
	attempts, from := r.setting(sc, imdsAttempts, "metadata_service_num_attempts")
	if attempts != "" {
		n, err := strconv.Atoi(attempts)
		if err != nil || n < 1 || n > 20 {
			return r.notConfigured(from+" is not a number of attempts from 1 to 20", "unset it for the usual 3")
		}
		s.attempts = n
	}
	if timeout != "" || attempts != "" {
		s.total = time.Duration(s.attempts)*(s.timeout+longestPause) - longestPause
		s.whole = min(processTimeout, max(callTimeout, 3*s.total))
	}
	return nil
}
