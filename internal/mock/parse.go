package mock

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxText     = 1024 // bytes of a fault
	maxDuration = 24 * time.Hour
	maxNumber   = 1_000_000_000

	defaultCode = "AssumeRoleUnauthorizedAccess"
)

// SyntaxError says what is wrong with the text of a fault.
type SyntaxError struct{ text, hint string }

func (e *SyntaxError) Error() string { return e.text }

// Hint is a fault that would be right.
func (e *SyntaxError) Hint() string { return e.hint }

func wrong(text, hint string) error { return &SyntaxError{text, hint} }

// ParseFault reads a fault. Its error is a *SyntaxError.
func ParseFault(text string) (Fault, error) {
	if len(text) > maxText {
		return Fault{}, wrong("a fault has at most 1024 bytes", "")
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(words) == 0 {
		return Fault{}, wrong("the fault is empty", "throttle=20%")
	}
	var f Fault
	if err := f.parseKind(words[0]); err != nil {
		return Fault{}, err
	}
	var seen []string
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		if slices.Contains(seen, name) {
			return Fault{}, wrong(strconv.Quote(name)+" is there twice", "")
		}
		seen = append(seen, name)
		if err := f.parseCondition(name, value, word); err != nil {
			var syntax *SyntaxError
			if errors.As(err, &syntax) && strings.HasPrefix(syntax.hint, name+"=") {
				syntax.hint = words[0] + " " + syntax.hint
			}
			return Fault{}, err
		}
	}
	return f, f.check()
}

func (f *Fault) parseKind(word string) error {
	name, value, valued := strings.Cut(word, "=")
	f.Kind = Kind(name)
	var err error
	switch f.Kind {
	case Throttle:
		switch rate, perSecond := strings.CutSuffix(value, "/s"); {
		case !valued:
		case perSecond:
			f.PerSecond, err = number(rate, word, "throttle=100/s")
		default:
			f.Chance, err = percent(value, word, "throttle=20%")
		}
		return err
	case Error:
		f.Status, err = status(value, word, "error=500")
		return err
	case Delay:
		least, most, ranged := strings.Cut(value, "..")
		if f.Delay, err = duration(least, word, "delay=1500ms"); err == nil && ranged {
			f.DelayMax, err = duration(most, word, "delay=1s..3s")
		}
		if err == nil && ranged && f.DelayMax <= f.Delay {
			err = wrong(strconv.Quote(word)+" is a range that ends before it begins", "delay=1s..3s")
		}
		return err
	case Expire:
		f.Life, err = duration(value, word, "expire=90s")
		if err == nil && f.Life < time.Second {
			err = wrong(strconv.Quote(word)+" is less than a second", "expired")
		}
		return err
	case Token:
		if value == "timeout" {
			return nil
		}
		f.Status, _ = strconv.Atoi(value)
		if !slices.Contains([]string{"400", "403", "404", "405"}, value) {
			return wrong(strconv.Quote(word)+" is not a token fault: they are 400, 403, 404, 405 and timeout", "token=403")
		}
		return nil
	case NotSuccess:
		f.Code = value
		if valued && (value == "" || strings.EqualFold(value, "Success") || strings.Trim(value, letters) != "") {
			return wrong(strconv.Quote(word)+" has no code of letters and digits other than Success", "not-success="+defaultCode)
		}
		if value == defaultCode {
			f.Code = ""
		}
		return nil
	case Hang, Reset, NoRole, Garbage, Empty, Expired, Truncated, Forget, V2Only, V1Only:
		if valued {
			return wrong(strconv.Quote(name)+" takes no value", name)
		}
		return nil
	}
	var names []string
	for _, form := range Forms() {
		n, _, _ := strings.Cut(form[0], "=")
		names = append(names, n)
	}
	return wrong("there is no fault "+strconv.Quote(name), "one of "+strings.Join(slices.Compact(names), ", "))
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (f *Fault) parseCondition(name, value, word string) (err error) {
	switch name {
	case "path":
		if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "*") {
			return wrong(strconv.Quote(word)+" is not the pattern of a path", "path=/latest/meta-data/*")
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' }) {
			return wrong(strconv.Quote(word)+" has more than plain letters and signs", "path=/latest/meta-data/*")
		}
		f.Path = value
	case "on":
		if value != OnIMDS && value != OnECS {
			return wrong(strconv.Quote(word)+" is neither on=imds nor on=ecs", "on=imds")
		}
		f.On = value
	case "chance":
		if f.Chance != 0 {
			return wrong(strconv.Quote(word)+": the percentage is there twice", "")
		}
		f.Chance, err = percent(value, word, "chance=20%")
	case "count":
		f.Count, err = count(value, word, "count=3")
	case "after":
		f.After, err = count(value, word, "after=3")
	case "status":
		if f.Kind != Throttle {
			return wrong("status= belongs to throttle only", "error="+value)
		}
		f.Status, err = status(value, word, "status=503")
	default:
		return wrong("there is no condition "+strconv.Quote(name), "one of path=, on=, chance=, count=, after=, and for throttle status=")
	}
	return err
}

// check refuses what makes no sense together.
func (f *Fault) check() error {
	switch {
	case f.mode() && (f.conditions() != "" || f.Chance != 0):
		return wrong(string(f.Kind)+" is for all requests: it takes no condition", string(f.Kind))
	case (f.Kind == Token || f.Kind == Forget) && f.On == OnECS:
		return wrong(string(f.Kind)+" is of the metadata service only: the container endpoint has no such tokens", "")
	case f.Kind == Token && f.Path != "":
		return wrong("token= has its own path", "token=403")
	case f.PerSecond > 0 && f.Chance > 0:
		return wrong("throttle takes a rate or a percentage, not both", "throttle=100/s")
	}
	if f.Status == 429 && f.Kind == Throttle {
		f.Status = 0
	}
	return nil
}

func number(value, word, hint string) (float64, error) {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.Trim(value, "0123456789.") != "" || !(v >= 0.001 && v <= maxNumber) {
		return 0, wrong(strconv.Quote(word)+" has no number from 0.001 on", hint)
	}
	return math.Round(v*1000) / 1000, nil
}

// percent is zero for 100 %: always.
func percent(value, word, hint string) (float64, error) {
	digits, ok := strings.CutSuffix(value, "%")
	if !ok {
		return 0, wrong(strconv.Quote(word)+" has no percentage", hint)
	}
	v, err := number(digits, word, hint)
	if err == nil && v > 100 {
		err = wrong(strconv.Quote(word)+" is more than 100%", hint)
	}
	if v == 100 {
		v = 0
	}
	return v, err
}

func duration(value, word, hint string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Microsecond || d > maxDuration {
		return 0, wrong(strconv.Quote(word)+" has no duration from 1us to 24h", hint)
	}
	return d.Truncate(time.Microsecond), nil
}

func count(value, word, hint string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxNumber || strings.HasPrefix(value, "+") {
		return 0, wrong(strconv.Quote(word)+" has no whole number from 1 on", hint)
	}
	return n, nil
}

func status(value, word, hint string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || len(value) != 3 || n < 400 || n > 599 {
		return 0, wrong(strconv.Quote(word)+" has no status from 400 to 599", hint)
	}
	return n, nil
}
