package mock

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

func parsed(t *testing.T, texts ...string) (faults []Fault) {
	t.Helper()
	for _, text := range texts {
		f, err := ParseFault(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		faults = append(faults, f)
	}
	return faults
}

func rulesOf(t *testing.T, seed uint64, texts ...string) *rules {
	t.Helper()
	r := newRules(seed, "", time.Now)
	if err := r.set(parsed(t, texts...), false); err != nil {
		t.Fatal(err)
	}
	return r
}

const rolesPath = "/latest/meta-data/iam/security-credentials/"

// The requests of a credentials look-up, and one of the container endpoint.
var (
	putToken = ask{opToken, http.MethodPut, "/latest/api/token", false}
	getList  = ask{opList, http.MethodGet, rolesPath, true}
	getCreds = ask{opIMDSCreds, http.MethodGet, rolesPath + "mock-role", true}
	getV1    = ask{opIMDSCreds, http.MethodGet, rolesPath + "mock-role", false}
	getOther = ask{"imds:region", http.MethodGet, "//latest/meta-data/placement/region", true}
	getECS   = ask{opECSCreds, http.MethodGet, ContainerPath, false}
)

type ask struct {
	op, method, path string
	token            bool
}

func (r *rules) ask(a ask) (fakeaws.Fault, bool) {
	q := httptest.NewRequest(a.method, a.path, nil)
	q.URL.Path = a.path
	if a.token {
		q.Header.Set("X-aws-ec2-metadata-token", "x")
	}
	return r.choose(a.op, q)
}

// Which of the six requests a fault is for.
func TestWhatAFaultIsFor(t *testing.T) {
	all := []ask{putToken, getList, getCreds, getV1, getOther, getECS}
	for text, want := range map[string]string{
		"throttle":                          "111111",
		"throttle on=imds":                  "111110",
		"throttle on=ecs":                   "000001",
		"error=500":                         "111111",
		"error=500 path=/latest/api/token":  "100000",
		"delay=1s":                          "111111",
		"delay=1s path=/latest/meta-data/*": "011110",
		"hang path=/v2/*":                   "000001",
		"reset":                             "111111",
		"token=403":                         "100000",
		"token=timeout":                     "100000",
		"forget":                            "011010",
		"expire=90s":                        "001101",
		"expired":                           "001101",
		"expired on=imds":                   "001100",
		"norole":                            "011101",
		"not-success":                       "001101",
		"garbage":                           "001101",
		"empty":                             "001101",
		"truncated":                         "001101",
		"truncated path=/latest/api/*":      "100000",
		"garbage path=*/placement/*":        "000010",
		"expired path=*/placement/*":        "000000",
		"v2-only":                           "111111",
	} {
		got := ""
		for _, a := range all {
			if _, drawn := rulesOf(t, 1, text).ask(a); drawn {
				got += "1"
			} else {
				got += "0"
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCountAndAfter(t *testing.T) {
	r := rulesOf(t, 1, "throttle count=2 after=3", "error=503 count=1")
	var got []string
	for range 8 {
		f, _ := r.ask(getECS)
		got = append(got, f.Label)
	}
	// the first lets three pass, the second takes the first of those
	want := "error=503 count=1|||throttle count=2 after=3|throttle count=2 after=3|||"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("%s, want %s", s, want)
	}
	faults, requests := r.status()
	if len(faults) != 2 || faults[0].Hits != 2 || *faults[0].Left != 0 || *faults[1].Left != 0 || requests[opECSCreds] != 8 {
		t.Errorf("%+v %v", faults, requests)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	for _, tt := range []struct {
		faults string
		ask    ask
		want   fakeaws.Fault
	}{
		{"delay=1s|delay=500ms|throttle", getECS, fakeaws.Fault{Delay: 1500 * time.Millisecond, Status: 429, Message: "throttled by the mock"}},
		{"throttle status=503|error=500", getECS, fakeaws.Fault{Status: 503, Message: "throttled by the mock"}},
		{"error=500|throttle", getECS, fakeaws.Fault{Status: 500}},
		{"expire=90s|truncated|delay=1s", getCreds, fakeaws.Fault{Lifetime: 90 * time.Second, Truncate: true, Delay: time.Second}},
		{"expired|expire=90s", getCreds, fakeaws.Fault{Expired: true}},
		{"expired|norole", getCreds, fakeaws.Fault{Status: 404}}, // there is nothing left to expire
		{"token=405|hang", putToken, fakeaws.Fault{Status: 405}},
		{"hang|token=405", putToken, fakeaws.Fault{Hang: true}},
		{"token=timeout", putToken, fakeaws.Fault{Hang: true}},
		{"v2-only|reset", getV1, fakeaws.Fault{NeedToken: true, Reset: true}},
		{"v1-only|forget", getCreds, fakeaws.Fault{NoTokens: true, ForgetTokens: true}},
		{"not-success=No", getCreds, fakeaws.Fault{Code: "No"}},
		{"not-success", getECS, fakeaws.Fault{Body: []byte(`{"Code":"AssumeRoleUnauthorizedAccess","Message":"made up by the mock"}`)}},
		{"empty", getCreds, fakeaws.Fault{Body: []byte{}}},
	} {
		f, _ := rulesOf(t, 1, strings.Split(tt.faults, "|")...).ask(tt.ask)
		f.Label = ""
		if string(f.Body) != string(tt.want.Body) || (f.Body == nil) != (tt.want.Body == nil) {
			t.Errorf("%s: body %q, want %q", tt.faults, f.Body, tt.want.Body)
		}
		f.Body, tt.want.Body = nil, nil
		if got, want := summary(f), summary(tt.want); got != want {
			t.Errorf("%s: %s, want %s", tt.faults, got, want)
		}
	}
}

func summary(f fakeaws.Fault) string {
	var b strings.Builder
	for name, set := range map[string]bool{"hang": f.Hang, "reset": f.Reset, "expired": f.Expired, "truncate": f.Truncate,
		"need": f.NeedToken, "none": f.NoTokens, "forget": f.ForgetTokens} {
		if set {
			b.WriteString(name + " ")
		}
	}
	words := strings.Fields(b.String())
	slices.Sort(words)
	return strings.Join(append(words, f.Code, f.Message, http.StatusText(f.Status), f.Delay.String(), f.Lifetime.String()), "|")
}

// A percentage is met, and the same seed draws the same requests.
func TestPercentages(t *testing.T) {
	draw := func(seed uint64) (pattern string) {
		r := rulesOf(t, seed, "throttle=20%")
		for range 10_000 {
			if _, drawn := r.ask(getECS); drawn {
				pattern += "x"
			} else {
				pattern += "."
			}
		}
		return pattern
	}
	one, again, other := draw(7), draw(7), draw(8)
	if one != again || one == other {
		t.Error("the seed does not decide")
	}
	if n := strings.Count(one, "x"); n < 1840 || n > 2160 { // 4 standard deviations
		t.Errorf("%d of 10000 were throttled", n)
	}
	r := rulesOf(t, 7, "delay=1s..3s")
	var least, most time.Duration = time.Hour, 0
	for range 1000 {
		f, _ := r.ask(getECS)
		least, most = min(least, f.Delay), max(most, f.Delay)
	}
	if least < time.Second || most > 3*time.Second || least > 1100*time.Millisecond || most < 2900*time.Millisecond {
		t.Errorf("delays from %v to %v", least, most)
	}
	first := ""
	for range 2 { // reset begins the random numbers anew
		r.reset()
		if err := r.set(parsed(t, "throttle=50%"), false); err != nil {
			t.Fatal(err)
		}
		s := ""
		for range 64 {
			f, _ := r.ask(getECS)
			s += f.Label + "."
		}
		if first != "" && s != first {
			t.Error("not the same after a reset")
		}
		first = s
	}
}

func TestRate(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		fault string
		every time.Duration // between requests
		n     int
		want  int // let through
	}{
		{"throttle=100/s", 0, 1000, 100},
		{"throttle=100/s", time.Millisecond, 2000, 100 + 199},
		{"throttle=100/s", 10 * time.Millisecond, 500, 500},
		{"throttle=0.5/s", time.Second, 10, 1 + 4},
		{"throttle=1/s", 100 * time.Millisecond, 100, 1 + 9},
	} {
		now := at
		r := newRules(1, "", func() time.Time { return now })
		if err := r.set(parsed(t, tt.fault), false); err != nil {
			t.Fatal(err)
		}
		passed := 0
		for range tt.n {
			if _, drawn := r.ask(getECS); !drawn {
				passed++
			}
			now = now.Add(tt.every)
		}
		if passed < tt.want-1 || passed > tt.want+1 {
			t.Errorf("%s, a request each %v: %d of %d passed, want %d", tt.fault, tt.every, passed, tt.n, tt.want)
		}
		now = at // a clock that goes back fills nothing
		r.ask(getECS)
	}
}

func TestSetsThatAreRefused(t *testing.T) {
	r := rulesOf(t, 1, "v2-only", "reset")
	if err := r.set(parsed(t, "v1-only"), true); err == nil {
		t.Error("v1-only beside v2-only")
	}
	if err := r.set(make([]Fault, maxFaults-1), true); err == nil {
		t.Error("101 faults")
	}
	if faults, _ := r.status(); len(faults) != 2 {
		t.Errorf("a refused set changed something: %+v", faults)
	}
	if err := r.set(parsed(t, "v1-only"), false); err != nil {
		t.Error(err)
	}
	mode := newRules(1, V2Only, time.Now)
	if f, _ := mode.ask(getV1); !f.NeedToken {
		t.Error("the mode of the start is not in force")
	}
	if err := mode.set(parsed(t, "v1-only"), false); err != nil {
		t.Fatal(err)
	}
	if f, _ := mode.ask(getV1); f.NeedToken || !f.NoTokens {
		t.Error("the mode that was set is not in force")
	}
	mode.reset()
	if f, _ := mode.ask(getV1); !f.NeedToken {
		t.Error("the mode of the start is not back")
	}
}
