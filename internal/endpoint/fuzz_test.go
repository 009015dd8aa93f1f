package endpoint

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/creds", "/slot/a%2Fb", "/source/profile:dev", "/role-arn/arn:aws:iam::1:role/x/y", "/slot/%zz", "/slot/..%2f", "//", "/healthcheck/slot/x", "/slot/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		got := target(u)
		if got.Kind == Unknown && got.Name != "" {
			t.Errorf("%q: a name without a kind", path)
		}
		if got.Name != "" && !strings.Contains(u.Path, got.Name) {
			t.Errorf("%q: the name %q is not in the path", path, got.Name)
		}
	})
}

func FuzzUpload(f *testing.F) {
	f.Add([]byte(`{"ProfileName":"p","Creds":{"accountId":"1","roleName":"r","accessKeyId":"ASIA","secretAccessKey":"s","sessionToken":"t","expiration":"4102444800000"}}`))
	f.Add([]byte(`{"Creds":{"accountId":1e3,"expiration":-1}}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Unix(1_700_000_000, 0)
		u, err := parseUpload(body, now)
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("error text %q", err)
			}
			return
		}
		c := u.Credentials
		if c.Check() != nil || c.Remaining(now) <= 0 || len(c.AccountID) != 0 && len(c.AccountID) != 12 {
			t.Errorf("took %q", body)
		}
	})
}
