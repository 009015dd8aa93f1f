package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

const (
	fuzzToken  = "0123456789abcdef0123456789abcdef0123456789x"
	fuzzSecret = "CANARYfuzz"
	fuzzHost   = "127.0.0.1:4144"
)

// fuzzShelf has a default slot and the slot "a/b", and fails now and then.
type fuzzShelf struct {
	audit   []Record
	changed int
}

func (*fuzzShelf) Document(_ context.Context, t Target) (*Document, error) {
	switch {
	case t.Kind == DefaultSlot, t.Kind == NamedSlot && t.Name == "a/b", t.Kind == Source && t.Name == "profile:dev", t.Kind == RoleName:
		c := creds.Credentials{AccessKeyID: fuzzSecret, SecretAccessKey: creds.NewSecret(fuzzSecret), SessionToken: creds.NewSecret(fuzzSecret)}
		return NewDocument(c, time.Unix(4e9, 0)), nil
	case t.Kind == Source:
		return nil, &usererr.Error{Code: usererr.LoginRequired, Msg: "sign in", Hint: "aws sso login", RetryAfter: time.Second}
	case t.Kind == RoleARN:
		return nil, errors.New(fuzzSecret)
	}
	return nil, NotFound("there is no slot of that name", "")
}

func (*fuzzShelf) Profile(name string) (Profile, error) {
	if name != "" {
		return Profile{}, NotFound("there is no slot of that name", "")
	}
	return Profile{ProfileName: "dev", Expires: time.Unix(4e9, 0)}, nil
}
func (*fuzzShelf) Profiles() []Profile                   { return []Profile{{ProfileName: "a/b"}} }
func (s *fuzzShelf) Push(string, Upload) error           { s.changed++; return nil }
func (s *fuzzShelf) Unload(string) error                 { s.changed++; return nil }
func (s *fuzzShelf) UnloadNamed()                        { s.changed++ }
func (s *fuzzShelf) Audit(r Record)                      { s.audit = append(s.audit, r) }
func (*fuzzShelf) TCP(_, _ netip.AddrPort) peercred.Peer { return peercred.Peer{} }

type fuzzPeer peercred.Peer

func (p fuzzPeer) TCP(_, _ netip.AddrPort) peercred.Peer { return peercred.Peer(p) }

// FuzzRequest sends any request through the real handler: as the daemon's own
// user, as another and as nobody known, in every mode. Whatever comes, there is
// one answer of well-formed JSON and one record, nothing panics, and only who has
// the authority gets credentials or changes a slot. What authority is, is said
// here once more in other words than the guard's.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, path, head, body string }{
		{"GET", "/", "", ""}, {"GET", "/creds", "Authorization: " + fuzzToken, ""}, {"GET", "/slot/a%2Fb", "Authorization: Bearer " + fuzzToken, ""},
		{"GET", "/", "Origin: null", ""}, {"GET", "/", "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: cors", ""}, {"GET", "/", "Sec-Fetch-Mode: cors", ""}, {"GET", "/", "User-Agent: Mozilla/5.0", ""},
		{"GET", "/", "Authorization: \r\nAuthorization: " + fuzzToken, ""}, {"GET", "/", "Authorization:", ""}, {"GET", "/", "X-Forwarded-For: 1\r\nVia: x", ""}, {"GET", "http://127.0.0.1:4144/", "", ""},
		{"PUT", "/", "Content-Length: 2", "{}"}, {"PUT", "/slot/x", "Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"},
		{"PUT", "/slot/n", "Content-Length: 147", `{"ProfileName":"p","Creds":{"accountId":"1","roleName":"r","accessKeyId":"ASIA","secretAccessKey":"s","sessionToken":"t","expiration":"4102444800000"}}`},
		{"DELETE", "/slot", "", ""}, {"OPTIONS", "*", "", ""}, {"HEAD", "/healthcheck/slot/x", "", ""}, {"GET", "/source/profile:dev", "", ""}, {"GET", "/source/x?y", "", ""}, {"GET", "/role-arn/arn:aws:iam::1:role/x", "", ""},
		{"GET", "/role/x", "", ""}, {"GET", "/metrics", "", ""}, {"GET", "/profile", "", ""}, {"G=T", "/slot/%00", ": x", "x"}, {"CONNECT", "127.0.0.1:4144", "", ""}, {"GET", "/", "Content-Length: 5", "GET /"},
	} {
		for who := range uint8(9) {
			f.Add(seed.method, seed.path, "Host: "+fuzzHost+"\r\n"+seed.head, []byte(seed.body), who)
		}
	}
	f.Add("GET", "/", "Host: evil.example", []byte{}, uint8(0))
	modes := []AuthMode{AuthAuto, AuthToken, AuthNone}
	peers := []fuzzPeer{{UID: 1000, Known: true}, {UID: 33, Known: true}, {UID: 1000}}
	names := hostNames{first: fuzzHost, port: ":4144", names: map[string]bool{"127.0.0.1": true, fuzzHost: true, "localhost": true, "localhost:4144": true}}
	guards := map[AuthMode]*Guard{}
	for _, m := range modes {
		guards[m] = NewGuard(Access{Mode: m, Tokens: []string{fuzzToken}, UIDs: []uint32{1000}})
	}
	f.Fuzz(func(t *testing.T, method, path, head string, body []byte, who uint8) {
		mode, p := modes[who%3], peers[who/3%3]
		text := method + " " + path + " HTTP/1.1\r\n" + head + "\r\n\r\n" + string(body)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return // net/http refuses it before anybody sees it
		}
		shelf := &fuzzShelf{}
		handler := NewECS(ECSConfig{Guard: guards[mode], Slots: shelf, Shelf: shelf, Auditor: shelf})
		var panics strings.Builder
		c := &Conn{server: &Server{c: ServerConfig{Peers: p, ErrorLog: log.New(&panics, "", 0)}}, hosts: &names,
			remote: netip.MustParseAddrPort("127.0.0.1:50000"), local: netip.MustParseAddrPort(fuzzHost)}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(context.WithValue(context.Background(), connKey{}, c)))

		if panics.Len() > 0 {
			t.Fatal(panics.String())
		}
		if len(shelf.audit) != 1 {
			t.Fatalf("%d records", len(shelf.audit))
		}
		answer := w.Body.Bytes()
		var decoded any
		if err := json.Unmarshal(answer, &decoded); err != nil {
			t.Fatalf("%d %q: %v", w.Code, answer, err)
		}
		if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Fatalf("headers %v", w.Header())
		}
		rec := shelf.audit[0]
		if given := bytes.Contains(answer, []byte(fuzzSecret)); given != (w.Code == http.StatusOK && !rec.Expires.IsZero()) {
			t.Fatalf("status %d, record %+v, secrets in the answer: %v", w.Code, rec, given)
		}
		if (!rec.Expires.IsZero() || shelf.changed > 0 || rec.Outcome == "ok" && rec.Target.Kind != Health && rec.Target.Kind != HealthOfSlot) && !mayHave(r, mode, p) {
			t.Fatalf("mode %s, peer %+v: %q was let in", mode, p, text)
		}
		if shelf.changed > 0 && r.Method != http.MethodPut && r.Method != http.MethodDelete {
			t.Fatalf("%s changed a slot", r.Method)
		}
	})
}

// mayHave says who may have credentials, in mode and as p.
func mayHave(r *http.Request, mode AuthMode, p fuzzPeer) bool {
	for name := range r.Header {
		lower := strings.ToLower(name)
		for _, bad := range []string{"origin", "referer", "sec-fetch-site", "sec-fetch-dest", "cookie", "upgrade", "forwarded", "x-forwarded-for", "x-forwarded-host", "via", "x-real-ip"} {
			if lower == bad {
				return false
			}
		}
	}
	if !slices.Contains([]string{"127.0.0.1", fuzzHost, "localhost", "localhost:4144"}, r.Host) || r.URL.Host != "" {
		return false
	}
	given := r.Header.Values("Authorization")
	if len(given) == 1 && (given[0] == fuzzToken || given[0] == "Bearer "+fuzzToken) {
		return true
	}
	if strings.Join(given, "") != "" && strings.Join(given, "") != "Bearer " {
		return false
	}
	if strings.HasPrefix(r.Header.Get("User-Agent"), "Mozilla/") {
		return false
	}
	return mode == AuthNone || mode == AuthAuto && p.Known && p.UID == 1000
}
