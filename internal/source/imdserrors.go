package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"rolecall/internal/usererr"
)

// question is one of the three that the metadata service is asked.
type question string

const (
	askToken    question = "the token request to"
	askList     question = "the request for the role's name to"
	askDocument question = "the request for the role's credentials to"
)

const (
	hintHopLimit   = "in a container this is usually a hop limit of 1: `aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2`; outside EC2 load another source"
	hintSwitchedOn = "switch it on: `aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled`"
	hintIsThisEC2  = "does this run on EC2? elsewhere load a profile: `rolecall load` lists all"
	hintThrottled  = "too much asks it: let programs get their credentials from rolecall, and look for linklocal_allowance_exceeded in `ethtool -S`"
	hintItsOwn     = "the fault is the service's; where it lasts, on EC2, `aws ec2 describe-instance-status --instance-id ID` tells of the machine's"
	hintOther      = "does something else listen there? look at " + imdsEndpoint
)

// unanswered is the error for a question without an answer.
func (i *instance) unanswered(q question, err error) *usererr.Error {
	what := string(q) + " the instance metadata service at " + i.set.host
	e := unanswered(what, err)
	switch {
	case errors.Is(err, context.Canceled):
	case contextError(err) != nil || isTimeout(err):
		e.Msg, e.Hint = what+" timed out", hintThrottled
		if q == askToken {
			e.Hint = hintHopLimit
		}
	case errors.Is(err, errTooLarge):
		e.Hint = hintOther
	default:
		e.Hint = hintIsThisEC2
	}
	return e
}

// refused is the error for an answer with a status other than 200.
func (in *visit) refused(q question, a *answer) *usererr.Error {
	name := "the instance metadata service at " + in.set.host
	status := fmt.Sprintf(" (status %d)", a.status)
	e := &usererr.Error{Code: usererr.NotConfigured, Err: &callError{operation: string(q) + " " + name, status: a.status}}
	switch {
	case a.status == http.StatusTooManyRequests:
		e.Code, e.RetryAfter = usererr.Throttled, a.retryAfter
		e.Msg, e.Hint = name+" refused: too many requests", hintThrottled
	case a.status >= 500:
		e.Code, e.RetryAfter = usererr.Unavailable, a.retryAfter
		e.Msg, e.Hint = string(q)+" "+name+" failed"+status, hintItsOwn
	case a.status < 400:
		e.Code, e.Hint = usererr.Unavailable, hintOther
		e.Msg = fmt.Sprintf("%s %s was answered with status %d", q, name, a.status)
		if a.status >= 300 {
			e.Msg = name + " answered with a redirect" + status + ", which is not followed"
		}
	case q == askToken:
		in.noToken(e, a.status)
	case a.status == http.StatusUnauthorized && in.v1:
		e.Msg, e.Hint = name+" wants IMDSv2"+status+" but gives out no tokens", "look for a proxy or firewall that refuses PUT requests"
	case a.status == http.StatusUnauthorized:
		e.Code = usererr.Unavailable
		e.Msg, e.Hint = name+" refuses the tokens that it gives out"+status, hintOther
	case a.status == http.StatusForbidden:
		e.Msg, e.Hint = name+" is switched off for this instance"+status, hintSwitchedOn
	case a.status == http.StatusNotFound && in.set.role != "":
		e.Msg, e.Hint = fmt.Sprintf("%s has no role %s%s, which %s names", name, in.set.role, status, in.set.roleFrom), "unset it to use the instance's own"
	case a.status == http.StatusNotFound && q == askDocument:
		e.Code = usererr.Unavailable
		e.Msg, e.Hint = name+" names a role and does not have it"+status, "is the instance profile being exchanged? `aws ec2 describe-iam-instance-profile-associations` tells"
	case a.status == http.StatusNotFound:
		e.Msg, e.Hint = "the instance has no role: "+name+" names none"+status, "attach an instance profile to the instance"
	default:
		e.Code = usererr.Unavailable
		e.Msg, e.Hint = string(q)+" "+name+" was refused"+status, hintOther
	}
	return e
}

// noToken words e for a token that was refused with a 4xx.
func (in *visit) noToken(e *usererr.Error, status int) {
	name := "the instance metadata service at " + in.set.host
	v1 := "IMDSv1 is not asked unless " + imdsV1Disabled + "=false allows it"
	if in.set.v1From != "" {
		v1 = "IMDSv1 is forbidden by " + in.set.v1From
	}
	switch status {
	case http.StatusForbidden:
		e.Msg = name + " gives out no tokens (status 403): it is switched off for this instance, or a proxy stands before it"
		e.Hint = hintSwitchedOn + "; " + v1
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		e.Msg = fmt.Sprintf("%s has no IMDSv2 (status %d), and %s", name, status, v1)
		e.Hint = "update what stands in for the service, or allow IMDSv1 with " + imdsV1Disabled + "=false"
	case http.StatusBadRequest:
		e.Msg, e.Hint = name+" does not understand the token request (status 400)", hintOther
	default:
		e.Code = usererr.Unavailable
		e.Msg, e.Hint = fmt.Sprintf("%s %s was refused (status %d)", askToken, name, status), hintOther
	}
}
