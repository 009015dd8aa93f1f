package mock

import (
	"strconv"
	"strings"
	"time"
)

// Fault is one misbehaviour as a user writes it: a kind, mostly with a value, and conditions.
//
//	fault     = kind *( separator condition )
//	kind      = "throttle=" ( percent | rate ) | "throttle" | "error=" status | "delay=" duration [ ".." duration ]
//	          | "hang" | "reset" | "token=" ( "400" | "403" | "404" | "405" | "timeout" ) | "forget"
//	          | "expire=" duration | "expired" | "norole" | "not-success" [ "=" code ]
//	          | "garbage" | "empty" | "truncated" | "v2-only" | "v1-only"
//	condition = "path=" pattern | "on=" ( "imds" | "ecs" ) | "chance=" percent | "count=" number
//	          | "after=" number | "status=" status
//	percent   = number "%"     rate = number "/s"     separator = "," | space
//
// "*" in a pattern stands for any characters, "/" too. ParseFault reads it, String writes it.
type Fault struct {
	Kind Kind
	// Status is the HTTP status of Throttle, Error and Token. Zero: 429 for Throttle, a time-out for Token.
	Status int
	// PerSecond is how many requests a second Throttle lets through. Zero: none.
	PerSecond float64
	// Delay before the answer, and the longest one where it is drawn from a range; else zero.
	Delay, DelayMax time.Duration
	// Life of the credentials that Expire hands out.
	Life time.Duration
	// Code of NotSuccess. Empty: AssumeRoleUnauthorizedAccess.
	Code string

	Path   string  // pattern of the paths that it is for. Empty: all
	On     string  // "imds" or "ecs". Empty: both
	Chance float64 // in percent, above 0 and below 100. Zero: always
	Count  int     // how many requests draw it. Zero: no end
	After  int     // how many requests it lets pass first
}

// Kind is what a [Fault] does.
type Kind string

// The kinds. The answer of a request is decided by the first fault that decides it; Delay, Expire, Expired and
// Truncated change an answer, Forget makes the service lose its tokens, and the modes change the service.
const (
	Throttle   Kind = "throttle"
	Error      Kind = "error"
	Hang       Kind = "hang"
	Reset      Kind = "reset"
	Token      Kind = "token"
	NoRole     Kind = "norole"
	NotSuccess Kind = "not-success"
	Garbage    Kind = "garbage"
	Empty      Kind = "empty"

	Delay     Kind = "delay"
	Expire    Kind = "expire"
	Expired   Kind = "expired"
	Truncated Kind = "truncated"
	Forget    Kind = "forget"

	V2Only Kind = "v2-only"
	V1Only Kind = "v1-only"
)

// Forms are the kinds as one writes them, each with what it does, for help and completion.
func Forms() [][2]string {
	return [][2]string{
		{"throttle=20%", "answer 429 to that part of the requests"},
		{"throttle=100/s", "answer 429 to what is above that rate"},
		{"error=500", "answer with that status"},
		{"delay=1500ms", "answer that much later; 1s..3s draws it from a range"},
		{"hang", "never answer"},
		{"reset", "end the connection with a reset"},
		{"token=403", "answer the PUT for a token with 400, 403, 404 or 405"},
		{"token=timeout", "never answer that PUT, as with a hop limit of 1"},
		{"forget", "forget all tokens: the next GET with one gets 401"},
		{"expire=90s", "credentials that live that long"},
		{"expired", "credentials that ended a minute ago"},
		{"norole", "the instance or task has no role: 404"},
		{"not-success", "a document without keys, whose Code is not Success"},
		{"garbage", "credentials that are no JSON"},
		{"empty", "an empty body in place of credentials"},
		{"truncated", "credentials that end in the middle"},
		{"v2-only", "every GET needs a token"},
		{"v1-only", "the service knows no tokens"},
	}
}

func (f Fault) mode() bool { return f.Kind == V1Only || f.Kind == V2Only }

// String is the fault as ParseFault reads it.
func (f Fault) String() string {
	s := string(f.Kind)
	switch f.Kind {
	case Throttle:
		if f.PerSecond > 0 {
			s += "=" + float(f.PerSecond) + "/s"
		} else if f.Chance > 0 {
			s += "=" + float(f.Chance) + "%"
		}
		if f.Status != 0 {
			s += " status=" + strconv.Itoa(f.Status)
		}
	case Error:
		s += "=" + strconv.Itoa(f.Status)
	case Delay:
		s += "=" + span(f.Delay)
		if f.DelayMax > 0 {
			s += ".." + span(f.DelayMax)
		}
	case Expire:
		s += "=" + span(f.Life)
	case Token:
		if f.Status == 0 {
			s += "=timeout"
		} else {
			s += "=" + strconv.Itoa(f.Status)
		}
	case NotSuccess:
		if f.Code != "" {
			s += "=" + f.Code
		}
	}
	if f.Chance > 0 && f.Kind != Throttle {
		s += " chance=" + float(f.Chance) + "%"
	}
	return s + f.conditions()
}

// conditions are those but the percentage.
func (f Fault) conditions() (s string) {
	if f.Path != "" {
		s += " path=" + f.Path
	}
	if f.On != "" {
		s += " on=" + f.On
	}
	if f.Count > 0 {
		s += " count=" + strconv.Itoa(f.Count)
	}
	if f.After > 0 {
		s += " after=" + strconv.Itoa(f.After)
	}
	return s
}

func float(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// span is the duration in plain letters.
func span(d time.Duration) string { return strings.Replace(d.String(), "µ", "u", 1) }
