package creds

import (
	"strings"
	"testing"
)

func FuzzARN(f *testing.F) {
	for _, s := range []string{"arn:aws:iam::123456789012:role/x", "arn:aws:iam::123456789012:role/path/x", "arn:aws:sts::123456789012:assumed-role/x/session", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x",
		"arn::::::", "arn:aws:iam::123456789012:role/", "arn:aws:sts::123456789012:assumed-role", "", "arn", "::::::", "arn:aws-cn:iam::１２３４５６７８９０１２:role/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arn string) {
		account, name := AccountFromARN(arn), RoleNameFromARN(arn)
		if account != "" && (len(account) != 12 || strings.Trim(account, "0123456789") != "" || !strings.Contains(arn, ":"+account+":")) {
			t.Errorf("%q: account %q", arn, account)
		}
		if strings.Contains(name, "/") || !strings.Contains(arn, name) {
			t.Errorf("%q: role %q", arn, name)
		}
		if name != "" && !strings.Contains(arn, "role/") {
			t.Errorf("%q is no role's, and yet %q", arn, name)
		}
	})
}
