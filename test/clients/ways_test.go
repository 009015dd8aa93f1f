package clients_test

import (
	"runtime"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/test/world"
)

// roleSession is the start of the ARN of a session of a fakeaws role.
func roleSession(role string) string {
	return strings.NewReplacer("arn:aws:iam::", "arn:aws:sts::", ":role/", ":assumed-role/").Replace(role) + "/"
}

func (s sdk) mustBe(t *testing.T, role string, env []string) {
	t.Helper()
	if a := s.identity(t, env); a.Error != "" || !strings.HasPrefix(a.ARN, roleSession(role)) {
		t.Errorf("acts as %q, want %s…: %s", a.ARN, roleSession(role), a.Error)
	}
}

// mustBeRefused wants no identity, and the daemon's own words in the SDK's error.
func (s sdk) mustBeRefused(t *testing.T, env []string, words string) {
	t.Helper()
	if s.ownWords != "" {
		words = s.ownWords
	}
	switch a := s.identity(t, env); {
	case a.Error == "":
		t.Errorf("was let in, as %s", a.ARN)
	case !strings.Contains(a.Error, words):
		t.Errorf("the error does not say %q: %s", words, a.Error)
	case strings.Contains(a.Error, world.Canary):
		t.Errorf("a secret is in the error: %s", a.Error)
	}
}

const (
	needsToken = "an authorization token is needed"
	wrongToken = "the authorization token is wrong"

	token     = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
	tokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
)

// needPeers skips where the kernel does not tell who a client is.
func needPeers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells which user is at the other end of a TCP connection")
	}
}

func TestSameUserNeedsNoToken(t *testing.T) {
	t.Parallel()
	needPeers(t)
	w := serve(t, fakeaws.Config{}, "--load", "dev", "--slot", "prod=profile:prod")
	eachSDK(t, func(t *testing.T, s sdk) {
		s.mustBe(t, fakeaws.RoleDev, w.program(strings.Replace(w.URL, "127.0.0.1", "localhost", 1)+"/creds"))
		s.mustBe(t, fakeaws.RoleProd, w.program("/slot/prod"))
		s.mustBe(t, fakeaws.RoleStaging, w.program("/source/profile:staging"))
		s.mustBeRefused(t, w.program("/creds", token+"=wrong"), wrongToken)
	})
	if n := w.AWS.Calls("sts:AssumeRole"); n != 3 {
		t.Errorf("%d calls of AssumeRole for three slots", n)
	}
}

func TestTokenIsNeededAndEnough(t *testing.T) {
	t.Parallel()
	w := serve(t, fakeaws.Config{}, "--load", "dev", "--auth", "token")
	eachSDK(t, func(t *testing.T, s sdk) {
		s.mustBe(t, fakeaws.RoleDev, w.program("/creds", token+"="+w.token))
		s.mustBeRefused(t, w.program("/creds"), needsToken)
		if s.noTokenFile {
			s.mustBeRefused(t, w.program("/creds", tokenFile+"="+w.TokenFile()), needsToken)
		} else {
			s.mustBe(t, fakeaws.RoleDev, w.program("/creds", tokenFile+"="+w.TokenFile()))
		}
	})
	if n := w.AWS.Calls("sts:AssumeRole"); n != 1 {
		t.Errorf("%d calls of AssumeRole for one slot", n)
	}
}
