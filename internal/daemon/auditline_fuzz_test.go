package daemon

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/peercred"
)

// FuzzAuditLine: any record is one line of printable ASCII, short, and in JSON
// it says what it was given.
func FuzzAuditLine(f *testing.F) {
	for _, s := range []string{"", "GET", "a b", "\"", "\\", "\\u000a", "\n", "\x1b[31m", "\u009b", "\u202e", "\u2028", "\xff", "\xc3", "\xed\xa0\x80", "😀", "=", `","outcome":"ok`, strings.Repeat("é", 200), strings.Repeat("A", 40), "x" + fuzzedToken, "\x7f"} {
		f.Add("GET", s, "sdk/1", "ok", uint16(200), uint8(2))
		f.Add(s, s, s, s, uint16(403), uint8(3))
	}
	f.Fuzz(func(t *testing.T, method, name, agent, program string, status uint16, bits uint8) {
		r := endpoint.Record{Time: time.Unix(1_700_000_000, 0), Endpoint: "ecs", Method: method, Target: endpoint.Target{Kind: endpoint.Kind(bits % 11), Name: name}, Status: int(status), Outcome: "ok",
			Agent: agent, Remote: netip.MustParseAddrPort("127.0.0.1:1"), Peer: peercred.Peer{UID: 1, Known: bits&16 != 0, PID: int32(bits & 32), Program: program}}
		if bits&64 != 0 {
			r.Expires = r.Time
		}
		for _, asJSON := range []bool{true, false} {
			a := newAuditor(nil, asJSON, nil, nil, creds.NewSecret(fuzzedToken))
			line := a.append([]byte("before\n"), &r)
			if again := a.append([]byte("before\n"), &r); !bytes.Equal(line, again) {
				t.Fatalf("%q is %q the second time", line, again)
			}
			line, found := bytes.CutPrefix(line, []byte("before\n"))
			if !found || len(line) == 0 || line[len(line)-1] != '\n' {
				t.Fatalf("%q", line)
			}
			line = line[:len(line)-1]
			for _, c := range line {
				if c < ' ' || c > '~' {
					t.Fatalf("%q has %q", line, c)
				}
			}
			if len(line) > 4*6*longestField+1024 {
				t.Fatalf("%d bytes", len(line))
			}
			if bytes.Contains(line, []byte(fuzzedToken)) && strings.Contains(name, fuzzedToken) && !strings.Contains(method+agent+program, fuzzedToken) {
				t.Fatalf("the token is in %q", line)
			}
			if !asJSON {
				continue
			}
			var got map[string]any
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if got["endpoint"] != "ecs" || got["outcome"] != "ok" || got["status"] != float64(status) || got["method"] != told(method) || agent != "" && got["agent"] != told(agent) {
				t.Fatalf("%q says %v", line, got)
			}
		}
	})
}

const fuzzedToken = "abc-def_0123456789abcdef0123456789abcdef01"

// told is a text as it arrives: cut, and with every broken byte replaced.
func told(s string) string {
	if len(s) > longestField {
		s = s[:longestField]
	}
	return string([]rune(s))
}
