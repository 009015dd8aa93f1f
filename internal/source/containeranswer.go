package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

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

func (c *container) parse(text []byte) (got creds.Credentials, err error) {
	hint := hintEndpoint
	var a containerAnswer
	if json.Unmarshal(text, &a) != nil {
		return got, unavailable(c.name()+" answered with something that is not the JSON of credentials", hint)
	}
	switch {
	case a.Code != "" && !strings.EqualFold(a.Code, "Success"):
		return got, unavailable(c.name()+" answered without keys: "+safeCode(a.Code), "look at the role of the task or pod, and at the log of the agent that serves the endpoint")
	case a.AccessKeyID == "" || a.SecretAccessKey == "":
		return got, unavailable(c.name()+" answered without keys", hint)
	}
	got = creds.Credentials{
		AccessKeyID:     a.AccessKeyID,
		SecretAccessKey: creds.NewSecret(a.SecretAccessKey),
		SessionToken:    creds.NewSecret(a.Token),
		AccountID:       a.AccountID,
		RoleARN:         a.RoleARN,
	}
	if a.Expiration != nil {
		got.Expires = told(*a.Expiration)
	}
	return got, nil
}

const (
	hintEndpoint = "does something else listen there? look at " + relativeURI + " and " + fullURI
	hintAgent    = "look at the log of the agent that serves the endpoint"
)

// unanswered is the error for a question without an answer.
func (c *container) unanswered(err error) error {
	if errors.Is(err, errElsewhere) {
		return c.unencrypted()
	}
	e := unanswered(c.name(), err)
	switch {
	case errors.Is(err, errTooLarge):
		e.Hint = hintEndpoint
	case contextError(err) != nil || isTimeout(err):
		e.Hint = "the agent behind it may be waiting for AWS, or asked too often"
	case c.r.cfg.Getenv(relativeURI) != "":
		e.Hint = relativeURI + " works within an ECS task only; elsewhere load another source"
	default:
		e.Hint = "is the program running that " + fullURI + " names? elsewhere load another source"
	}
	return e
}

// refused is the error for an answer other than 200; authorized says that a
// token was sent.
func (c *container) refused(a *answer, authorized bool) error {
	e := &usererr.Error{Code: usererr.Unavailable, Msg: fmt.Sprintf("%s answered with status %d", c.name(), a.status), RetryAfter: a.retryAfter,
		Err: &callError{operation: c.name(), status: a.status}}
	switch {
	case a.status == http.StatusTooManyRequests:
		e.Code, e.Msg, e.Hint = usererr.Throttled, c.name()+" refused: too many requests (status 429)", "too much asks it: let programs get their credentials from rolecall"
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		e.Code, e.Hint = usererr.AccessDenied, "it refuses the token: look at "+tokenFile+" and "+tokenVar
		if !authorized {
			e.Hint = "no token was sent: set " + tokenFile + " or " + tokenVar
		}
	case a.status == http.StatusBadRequest || a.status == http.StatusNotFound:
		e.Code, e.Hint = usererr.NotConfigured, "look at "+relativeURI+" and "+fullURI
	case a.status >= 300 && a.status < 400:
		e.Msg = fmt.Sprintf("%s answered with a redirect (status %d), which is not followed", c.name(), a.status)
		e.Hint = "write the URL that it leads to into " + fullURI
	case a.status >= 500:
		e.Hint = hintAgent
	default:
		e.Hint = hintEndpoint
	}
	if e.Code != usererr.Throttled && e.Code != usererr.Unavailable {
		e.RetryAfter = 0
	}
	return e
}
