package mock

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestFaultsThatAreRead(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  Fault
		again string // "": the text as it is
	}{
		{"throttle=20%", Fault{Kind: Throttle, Chance: 20}, ""},
		{"throttle=100%", Fault{Kind: Throttle}, "throttle"},
		{"throttle", Fault{Kind: Throttle}, ""},
		{"throttle=100/s", Fault{Kind: Throttle, PerSecond: 100}, ""},
		{"throttle=0.5/s status=503", Fault{Kind: Throttle, PerSecond: 0.5, Status: 503}, ""},
		{"throttle status=429", Fault{Kind: Throttle}, "throttle"},
		{"throttle=20%,path=/latest/meta-data/*,count=3", Fault{Kind: Throttle, Chance: 20, Path: "/latest/meta-data/*", Count: 3},
			"throttle=20% path=/latest/meta-data/* count=3"},
		{" throttle=12.5%   on=ecs  after=2 ", Fault{Kind: Throttle, Chance: 12.5, On: OnECS, After: 2}, "throttle=12.5% on=ecs after=2"},
		{"error=500", Fault{Kind: Error, Status: 500}, ""},
		{"delay=1500ms", Fault{Kind: Delay, Delay: 1500 * time.Millisecond}, "delay=1.5s"},
		{"delay=1s..3s chance=50%", Fault{Kind: Delay, Delay: time.Second, DelayMax: 3 * time.Second, Chance: 50}, ""},
		{"hang", Fault{Kind: Hang}, ""},
		{"reset count=1", Fault{Kind: Reset, Count: 1}, ""},
		{"token=403", Fault{Kind: Token, Status: 403}, ""},
		{"token=404", Fault{Kind: Token, Status: 404}, ""},
		{"token=405", Fault{Kind: Token, Status: 405}, ""},
		{"token=400", Fault{Kind: Token, Status: 400}, ""},
		{"token=timeout", Fault{Kind: Token}, ""},
		{"forget chance=1%", Fault{Kind: Forget, Chance: 1}, ""},
		{"expire=90s", Fault{Kind: Expire, Life: 90 * time.Second}, "expire=1m30s"},
		{"expired", Fault{Kind: Expired}, ""},
		{"norole", Fault{Kind: NoRole}, ""},
		{"not-success", Fault{Kind: NotSuccess}, ""},
		{"not-success=Failed", Fault{Kind: NotSuccess, Code: "Failed"}, ""},
		{"garbage", Fault{Kind: Garbage}, ""},
		{"empty path=*", Fault{Kind: Empty, Path: "*"}, ""},
		{"truncated", Fault{Kind: Truncated}, ""},
		{"v2-only", Fault{Kind: V2Only}, ""},
		{"v1-only", Fault{Kind: V1Only}, ""},
	} {
		got, err := ParseFault(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		again := tt.again
		if again == "" {
			again = tt.text
		}
		if got.String() != again {
			t.Errorf("%q is written as %q", tt.text, got.String())
		}
	}
}

func TestFaultsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "empty",
		" , ":                               "empty",
		"throtle=20%":                       `no fault "throtle"`,
		"=5":                                `no fault ""`,
		"throttle=":                         "percentage",
		"throttle=20":                       "percentage",
		"throttle=0%":                       "number",
		"throttle=-1%":                      "number",
		"throttle=101%":                     "more than 100%",
		"throttle=NaN%":                     "number",
		"throttle=Inf/s":                    "number",
		"throttle=1e3/s":                    "number",
		"throttle=0/s":                      "number",
		"throttle=20% chance=20%":           "twice",
		"throttle=5/s chance=20%":           "not both",
		"throttle=20% status=200":           "status",
		"throttle=20% status=banana":        "status",
		"error":                             "status",
		"error=200":                         "status",
		"error=600":                         "status",
		"error=+50":                         "status",
		"error=500 status=503":              "throttle only",
		"delay":                             "duration",
		"delay=5":                           "duration",
		"delay=-1s":                         "duration",
		"delay=25h":                         "duration",
		"delay=3s..1s":                      "ends before",
		"delay=1s..":                        "duration",
		"delay=1s..1s":                      "ends before",
		"hang=5s":                           "no value",
		"reset=":                            "no value",
		"token":                             "400, 403",
		"token=500":                         "400, 403",
		"token=+403":                        "400, 403",
		"token=403 path=/x":                 "own path",
		"token=403 on=ecs":                  "no such tokens",
		"forget on=ecs":                     "no such tokens",
		"expire":                            "duration",
		"expire=1ms":                        "less than a second",
		"expire=0s":                         "duration",
		"expired=yes":                       "no value",
		"not-success=Success":               "other than Success",
		"not-success=success":               "other than Success",
		"not-success=":                      "other than Success",
		`not-success=a"b`:                   "letters and digits",
		"garbage count=0":                   "whole number",
		"garbage count=-1":                  "whole number",
		"garbage count=+1":                  "whole number",
		"garbage count=1.5":                 "whole number",
		"garbage count=1000000001":          "whole number",
		"garbage count=9999999999999999999": "whole number",
		"garbage after=x":                   "whole number",
		"garbage count=1 count=2":           "twice",
		"garbage on=both":                   "neither",
		"garbage path=latest":               "pattern",
		"garbage path=":                     "pattern",
		"garbage path=/a\x7fb":              "plain letters",
		"garbage path=/a;":                  "plain letters",
		"garbage path=/ä":                   "plain letters",
		"garbage when=later":                `no condition "when"`,
		"garbage hang":                      `no condition "hang"`,
		"v2-only count=1":                   "no condition",
		"v1-only chance=5%":                 "no condition",
		"v1-only path=/x":                   "no condition",
		strings.Repeat("x", 1025):           "1024 bytes",
	} {
		f, err := ParseFault(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", text, f, err, want)
			continue
		}
		if hint := syntax.Hint(); hint != "" && !strings.HasPrefix(hint, "one of ") {
			if _, err := ParseFault(hint); err != nil {
				t.Errorf("%q: the hint %q is wrong too: %v", text, hint, err)
			}
		}
	}
}

// Every form of the help is read, and every kind is in the help.
func TestFormsAreFaults(t *testing.T) {
	shown := map[Kind]bool{}
	for _, form := range Forms() {
		f, err := ParseFault(form[0])
		if err != nil {
			t.Errorf("%s: %v", form[0], err)
		}
		shown[f.Kind] = true
	}
	for _, k := range []Kind{Throttle, Error, Hang, Reset, Token, NoRole, NotSuccess, Garbage, Empty, Delay, Expire, Expired, Truncated, Forget, V1Only, V2Only} {
		if !shown[k] {
			t.Errorf("%s is not in the help", k)
		}
	}
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"/a", "/a", true}, {"/a", "/ab", false}, {"/a", "/", false},
		{"*", "", true}, {"*", "/x/y", true}, {"/a/*", "/a/", true}, {"/a/*", "/a/b/c", true}, {"/a/*", "/a", false},
		{"*/token", "/latest/api/token", true}, {"*/token", "/latest/api/tokens", false},
		{"/l*/iam/*/x", "/latest/meta-data/iam/security-credentials/x", true}, {"/l*/iam/*/x", "/latest/iam/x", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"**", "x", true}, {"*b*b*", "ab", false}, {"*b*b*", "abcb", true},
	} {
		if got := wildcard(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.s, got)
		}
	}
}

// What is read is written so that it is read the same again, and fits in a line of the journal.
func FuzzParseFault(f *testing.F) {
	for _, form := range Forms() {
		f.Add(form[0])
	}
	f.Add("throttle=20% path=/latest/meta-data/* count=3 after=1 on=imds status=503")
	f.Add("delay=1ms..2h chance=0.001%")
	f.Add("not-success=A,on=ecs")
	f.Add("throttle=999999999.999/s")
	f.Fuzz(func(t *testing.T, text string) {
		one, err := ParseFault(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || err.Error() == "" {
				t.Fatalf("%q: error %v", text, err)
			}
			return
		}
		written := one.String()
		two, err := ParseFault(written)
		if err != nil || one != two {
			t.Fatalf("%q → %q → %+v, %v; was %+v", text, written, two, err, one)
		}
		if strings.Contains(written, labelGap) || strings.ContainsAny(written, "\r\n\x1b") {
			t.Fatalf("%q is written as %q", text, written)
		}
	})
}

func FuzzWildcard(f *testing.F) {
	f.Add("/latest/*", "/latest/x")
	f.Add("*a*b", "aab")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := wildcard(pattern, s)
		if !strings.Contains(pattern, "*") && got != (pattern == s) {
			t.Errorf("%q on %q: %v", pattern, s, got)
		}
		if whole := wildcard("*"+pattern+"*", "x"+s+"y"); got && !whole {
			t.Errorf("%q is in %q and *%q* is not", pattern, s, pattern)
		}
	})
}
