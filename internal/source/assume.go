package source

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
)

// Bounds on duration_seconds. chainedLimit is what STS takes where the caller's
// credentials are a session already (role chaining); it refuses more.
const (
	minDuration  = 900
	maxDuration  = 43200
	chainedLimit = 3600
)

const defaultSessionName = "rolecall"

// assumption is a role and how it is to be assumed.
type assumption struct {
	arn         string
	label       string // for messages: `profile "dev"` or role:ARN
	sessionName string
	externalID  string
	mfaSerial   string
	duration    int32 // seconds; 0: STS's own, one hour
	sts         service
}

// assumeLink is arn assumed with what base gives. s is the profile that names
// the role, nil where none does.
func (r *Resolver) assumeLink(arn string, base *link, s *awsconfig.Section, sc *scope) (*link, error) {
	a := assumption{arn: arn, label: kindRole + ":" + arn, sessionName: defaultSessionName}
	if s != nil {
		v, _ := s.Get("role_arn")
		if err := checkRoleARN(arn); err != nil {
			return nil, r.notConfigured(at(v)+" "+creds.AsRetrieveError(err).Msg, creds.AsRetrieveError(err).Hint)
		}
		a.label = fmt.Sprintf("profile %q", s.Name)
		a.externalID = s.Text("external_id")
		a.mfaSerial = s.Text("mfa_serial")
		a.duration = r.duration(s)
		if name := s.Text("role_session_name"); name != "" {
			a.sessionName = name
		}
	}
	region := firstOf(sc.own("region"), base.region, r.region(nil))
	var err error
	if a.sts, err = r.service("sts", firstOf(region, mainRegion(arn)), sc); err != nil {
		return nil, err
	}
	timeout := base.timeout
	if base.timeout > callTimeout {
		timeout += callTimeout // a credential_process may have used up its own
	}
	return &link{
		provider: &assumeRole{r: r, base: checked(base.provider, "the source of "+a.label), assumption: a, changed: r.filesChanged()},
		region:   region,
		upstream: a.sts.upstream(),
		timeout:  max(timeout, callTimeout),
		key: append([]string{fmt.Sprintf("role=%s %s %s %s %d", arn, a.sessionName, digest(a.externalID), a.mfaSerial, a.duration), a.sts.key()},
			base.key...),
	}, nil
}

// duration reads duration_seconds. The SDKs pass over what they cannot use; so
// does this, and says so.
func (r *Resolver) duration(s *awsconfig.Section) int32 {
	v, ok := s.Get("duration_seconds")
	if !ok || v.Text == "" {
		return 0
	}
	n, err := strconv.ParseInt(v.Text, 10, 32)
	switch {
	case err != nil:
		r.warn(at(v) + " duration_seconds is not a number: left to STS, which takes one hour")
		return 0
	case n < minDuration:
		r.warn(at(v) + " duration_seconds is below the least that STS takes: 900 is used")
		return minDuration
	case n > maxDuration:
		r.warn(at(v) + " duration_seconds is above the most that STS takes: 43200 is used")
		return maxDuration
	}
	return int32(n)
}

// assumeRole is the provider of an assumption.
type assumeRole struct {
	assumption
	r       *Resolver
	base    creds.Provider
	changed func() bool
}

// Retrieve asks base, then sts:AssumeRole.
func (a *assumeRole) Retrieve(ctx context.Context) (creds.Credentials, error) {
	base, err := a.base.Retrieve(ctx)
	if err != nil {
		return creds.Credentials{}, err
	}
	in := &sts.AssumeRoleInput{RoleArn: &a.arn, RoleSessionName: &a.sessionName}
	if a.externalID != "" {
		in.ExternalId = &a.externalID
	}
	if d := a.durationFor(base); d > 0 {
		in.DurationSeconds = &d
	}
	var code creds.Secret
	if a.mfaSerial != "" {
		if code, err = a.mfaCode(ctx); err != nil {
			return creds.Credentials{}, err
		}
		in.SerialNumber, in.TokenCode = &a.mfaSerial, aws.String(code.Reveal())
	}
	client, err := a.r.stsClient(a.sts, base)
	if err != nil {
		return creds.Credentials{}, err
	}
	ctx, seen := watch(ctx)
	out, err := client.AssumeRole(ctx, in)
	if err != nil {
		return creds.Credentials{}, operation{
			name:       "sts AssumeRole",
			subject:    a.arn,
			secrets:    []creds.Secret{base.SecretAccessKey, base.SessionToken, creds.NewSecret(a.externalID), code},
			loginHint:  "the keys it is assumed with have ended: renew those of " + a.label,
			deniedHint: "look at the role's trust policy, and whether the caller may call sts:AssumeRole on it",
			changed:    a.changed,
		}.failed(err, seen)
	}
	return fromSTS(out.Credentials, a.arn, a.label, seen)
}

// durationFor is the seconds to ask for, 0 to leave them to STS.
func (a *assumeRole) durationFor(base creds.Credentials) int32 {
	if a.duration > chainedLimit && !base.SessionToken.IsZero() {
		a.r.warn(fmt.Sprintf("%s: duration_seconds = %d is cut to %d, the limit of STS where a role is assumed with temporary credentials", a.label, a.duration, chainedLimit))
		return chainedLimit
	}
	return a.duration
}

func (a *assumeRole) mfaCode(ctx context.Context) (creds.Secret, error) {
	required := &creds.RetrieveError{
		Code:    creds.LoginRequired,
		Msg:     fmt.Sprintf("%s needs a code of the MFA device %s", a.label, a.mfaSerial),
		Hint:    "rolecall never prompts during a refresh: use a profile without mfa_serial, or one whose keys come from an MFA session",
		Changed: a.changed,
	}
	if a.r.cfg.MFA == nil {
		return creds.Secret{}, required
	}
	code, err := a.r.cfg.MFA(ctx, a.mfaSerial)
	if err != nil || code == "" {
		required.Err = contextError(err)
		return creds.Secret{}, required
	}
	return creds.NewSecret(code), nil
}

// fromSTS takes the keys out of an answer of STS.
func fromSTS(c *ststypes.Credentials, arn, label string, seen *exchange) (creds.Credentials, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" || aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return creds.Credentials{}, unavailable("sts answered without keys for "+label, "")
	}
	return creds.Credentials{
		AccessKeyID:     *c.AccessKeyId,
		SecretAccessKey: creds.NewSecret(*c.SecretAccessKey),
		SessionToken:    creds.NewSecret(*c.SessionToken),
		Expires:         told(c.Expiration.Round(0).Truncate(time.Second)),
		RoleARN:         arn,
		RoleName:        creds.RoleNameFromARN(arn),
		AccountID:       creds.AccountFromARN(arn),
		ObservedAt:      seen.observed(),
	}, nil
}
