package source

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"rolecall/internal/awsconfig"
	"rolecall/internal/creds"
	"rolecall/internal/usererr"
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
	profile     string // that names the role; "" for none
	baseKey     string // digest of what the base resolved to
	duration    int32  // seconds; 0: STS's own, one hour
	sts         service
}

// assumeLink is arn assumed with what base gives. s is the profile that names
// the role, nil where none does.
func (r *Resolver) assumeLink(arn string, base *link, s *awsconfig.Section, sc *scope) (*link, error) {
	a := assumption{arn: arn, label: kindRole + ":" + arn, sessionName: defaultSessionName}
	if s != nil {
		v, _ := s.Get("role_arn")
		if err := checkRoleARN(arn); err != nil {
			return nil, r.notConfigured(at(v)+" "+usererr.From(err).Msg, usererr.From(err).Hint)
		}
		a.label = fmt.Sprintf("profile %q", s.Name)
		a.externalID = s.Text("external_id")
		a.mfaSerial, a.profile = s.Text("mfa_serial"), s.Name
		a.baseKey = digest(strings.Join(base.key, "\n"))
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
	signIns, devices := base.signIns, base.devices
	if a.mfaSerial != "" {
		m := mfa{r: r, profile: a.profile, serial: a.mfaSerial}
		signIns = append(slices.Clip(signIns), m.signIn)
		devices = append(slices.Clip(devices), m.serial)
	}
	return &link{
		provider: &assumeRole{r: r, base: checked(base.provider, "the source of "+a.label), assumption: a, changed: r.filesChanged()},
		region:   region,
		upstream: a.sts.upstream(),
		timeout:  max(timeout, callTimeout),
		devices:  devices,
		signIns:  signIns,
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
	if a.mfaSerial == "" {
		return a.assume(ctx, base, "")
	}
	m := mfa{r: a.r, label: a.label, profile: a.profile, serial: a.mfaSerial, sts: a.sts, changed: a.changed}
	if !base.SessionToken.IsZero() {
		// Temporary keys get no session: the code goes with the role itself.
		return m.once(ctx, "role="+a.arn+" "+a.sessionName+" "+a.baseKey, func(ctx context.Context, code creds.Secret) (creds.Credentials, error) {
			return a.assume(ctx, base, code.Reveal())
		})
	}
	made := a.r.signedIn.Load()
	session, err := m.session(ctx, base)
	if err != nil {
		return creds.Credentials{}, err
	}
	c, err := a.assume(ctx, session, "")
	if err != nil && usererr.From(err).Code == usererr.LoginRequired {
		a.r.forget(session)
		return creds.Credentials{}, m.required(": STS says that the session with the last one has ended", made)
	}
	return c, err
}

// assume asks STS for the role. mfaCode is "" where none is sent.
func (a *assumeRole) assume(ctx context.Context, base creds.Credentials, mfaCode string) (creds.Credentials, error) {
	in := &sts.AssumeRoleInput{RoleArn: &a.arn, RoleSessionName: &a.sessionName}
	if a.externalID != "" {
		in.ExternalId = &a.externalID
	}
	if d := a.durationFor(base); d > 0 {
		in.DurationSeconds = &d
	}
	if mfaCode != "" {
		in.SerialNumber, in.TokenCode = &a.mfaSerial, &mfaCode
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
			secrets:    []creds.Secret{base.SecretAccessKey, base.SessionToken, creds.NewSecret(a.externalID), creds.NewSecret(mfaCode)},
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
