package mock

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"rolecall/internal/fakeaws"
)

const (
	opToken     = "imds:token"
	opList      = "imds:list"
	opInfo      = "imds:iam-info"
	opIMDSCreds = "imds:credentials"
	opECSCreds  = "container:credentials"
)

// decides says whether f is an answer; the other kinds change one.
func (f Fault) decides() bool {
	switch f.Kind {
	case Throttle, Error, Hang, Reset, Token, NoRole, NotSuccess, Garbage, Empty:
		return true
	}
	return false
}

// matches says whether f is for d's request.
func (f Fault) matches(d draw) bool {
	ecs := strings.HasPrefix(d.op, "container:")
	if f.On == OnIMDS && ecs || f.On == OnECS && !ecs || f.Path != "" && !wildcard(f.Path, d.path) {
		return false
	}
	credentials := d.op == opIMDSCreds || d.op == opECSCreds
	switch f.Kind {
	case Token:
		return d.op == opToken && d.request.Method == http.MethodPut
	case Forget:
		return !ecs && d.op != opToken && d.request.Header.Get("X-Aws-Ec2-Metadata-Token") != ""
	case Expire, Expired, NotSuccess:
		return credentials
	case Garbage, Empty, Truncated:
		return credentials || f.Path != ""
	case NoRole:
		return credentials || d.op == opList || d.op == opInfo
	}
	return true
}

// wildcard matches with "*" standing for any characters.
func wildcard(pattern, s string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == s
	}
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}

// draw is a request on its way past the faults.
type draw struct {
	op, path string
	request  *http.Request
	decided  bool
	fault    fakeaws.Fault
	labels   []string
}

func (d *draw) decide(f Fault) {
	d.decided = true
	d.labels = append(d.labels, f.String())
	switch f.Kind {
	case Throttle:
		d.fault.Status = http.StatusTooManyRequests
		if f.Status != 0 {
			d.fault.Status = f.Status
		}
		d.fault.Message = "throttled by the mock"
	case Error:
		d.fault.Status = f.Status
	case Token:
		d.fault.Status, d.fault.Hang = f.Status, f.Status == 0
	case Hang:
		d.fault.Hang = true
	case Reset:
		d.fault.Reset = true
	case NoRole:
		d.fault.Status = http.StatusNotFound
	case Garbage:
		d.fault.Body = []byte("\x1f\x8b{\xff\xfe garbage by the mock \x00\x01<\"")
	case Empty:
		d.fault.Body = []byte{}
	case NotSuccess:
		code := f.Code
		if code == "" {
			code = defaultCode
		}
		if d.op == opIMDSCreds {
			d.fault.Code = code
			break
		}
		d.fault.Body, _ = json.Marshal(map[string]string{"Code": code, "Message": "made up by the mock"}) // strings: never fails
	}
}

// takes says whether the answer can still be changed by f.
func (d *draw) takes(f Fault) bool {
	switch f.Kind {
	case Delay:
		return true
	case Expire, Expired:
		return !d.decided && !d.fault.Expired && d.fault.Lifetime == 0
	case Truncated:
		return !d.decided && !d.fault.Truncate
	}
	return !d.decided
}

func (d *draw) change(f Fault, random *rand.Rand) {
	d.labels = append(d.labels, f.String())
	switch f.Kind {
	case Delay:
		d.fault.Delay += f.Delay
		if f.DelayMax > f.Delay {
			d.fault.Delay += time.Duration(random.Int64N(int64(f.DelayMax - f.Delay + 1)))
		}
	case Expire:
		d.fault.Lifetime = f.Life
	case Expired:
		d.fault.Expired = true
	case Truncated:
		d.fault.Truncate = true
	case Forget:
		d.fault.ForgetTokens = true
	}
}
