package source

import (
	"context"
	"strings"
	"testing"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

func TestCallerIdentity(t *testing.T) {
	t.Parallel()
	g := newRig(t, fakeaws.Config{})
	for profile, want := range map[string]string{"base": ":user/base", "dev": ":assumed-role/dev/", "chained": ":assumed-role/chained/"} {
		s, err := g.r.Resolve(profile)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Provider.Retrieve(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		id, err := g.r.CallerIdentity(context.Background(), s, c)
		if err != nil || !strings.Contains(id.ARN, want) || len(id.Account) != 12 {
			t.Errorf("%s: %+v, %v", profile, id, err)
		}
	}
	s, err := g.r.Resolve("base")
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.r.CallerIdentity(context.Background(), s, creds.Credentials{AccessKeyID: "AKIANOBODYNOBODYNOBO", SecretAccessKey: creds.NewSecret("CANARY")})
	if e := usererr.From(err); err == nil || e.Code != usererr.AccessDenied || !strings.Contains(e.Msg, "InvalidClientTokenId") || strings.Contains(e.Msg, "CANARY") {
		t.Errorf("keys of nobody: %v", err)
	}
}
