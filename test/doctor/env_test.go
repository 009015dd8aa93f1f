package diagnosis

import (
	"encoding/base64"
	"fmt"
	"net"
	"testing"
	"time"

	"rolecall/internal/fakeaws"
)

const (
	uri     = "AWS_CONTAINER_CREDENTIALS_FULL_URI="
	keyPair = "AWS_ACCESS_KEY_ID=AKIAEXAMPLEEXAMPLE00"
	secret  = "AWS_SECRET_ACCESS_KEY=CANARYworld"
)

// container sets the fake's container endpoint, with an authorization token.
func container(s *Site, token string) {
	s.AWS.SetContainerAuthorization(token)
	s.Set(uri + s.AWS.ContainerURL("app"))
}

// jwt is a web identity token that ends at exp.
func jwt(exp time.Time) string {
	claims := fmt.Appendf(nil, `{"exp":%d,"sub":"system:serviceaccount:default:app"}`, exp.Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".CANARYworld"
}

// nobody is a URL of loopback where nobody listens.
func nobody(s *Site) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

func TestBrokenEnvironments(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"the server behind the URI does not run", "container.refused", func(s *Site) { s.Set(uri + nobody(s) + "/creds") }},
		{"a token file written with echo", "container.token-newline", func(s *Site) {
			container(s, "CANARYworld")
			s.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + s.Write("token", "CANARYworld\n", 0o600))
		}},
		{"a token file that is not mounted", "container.token-file-missing", func(s *Site) {
			container(s, "CANARYworld")
			s.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/var/run/secrets/nosuch/token")
		}},
		{"the token of another server", "container.unauthorized", func(s *Site) {
			container(s, "CANARYworld")
			s.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARYworld-of-yesterday")
		}},
		{"no token where one is wanted", "container.unauthorized", func(s *Site) { container(s, "CANARYworld") }},
		{"a token and a file that differ", "container.tokens-differ", func(s *Site) {
			container(s, "CANARYworld")
			s.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN=CANARYworld-old", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+s.Write("token", "CANARYworld", 0o600))
			s.Args = []string{"--offline"}
		}},
		{"the URI of another machine by http", "container.host", func(s *Site) { s.Set(uri + "http://192.0.2.1:4144/creds") }},
		{"a URI without http://", "container.url-invalid", func(s *Site) { s.Set(uri + "127.0.0.1:4144/creds") }},
		{"the relative URI set to nothing", "container.relative-empty", func(s *Site) {
			container(s, "")
			s.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=")
		}},
		{"both URIs, nobody asked", "container.relative-hides-full", func(s *Site) {
			container(s, "")
			s.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARYworld")
			s.Args = []string{"--offline"}
		}},
		{"an endpoint that hands out expired credentials", "container.expired", func(s *Site) {
			container(s, "")
			s.AWS.Script(fakeaws.Fault{Match: "container:*", Expired: true})
		}},
		{"an endpoint that never answers", "container.timeout", func(s *Site) {
			container(s, "")
			s.AWS.Script(fakeaws.Fault{Match: "container:*", Hang: true})
		}},
		{"an endpoint that throttles", "container.throttled", func(s *Site) {
			container(s, "")
			s.AWS.Script(fakeaws.Fault{Match: "container:*", Status: 429})
		}},
		{"the wrong service behind the URI", "container.not-json", func(s *Site) {
			container(s, "")
			s.AWS.Script(fakeaws.Fault{Match: "container:*", Body: []byte("<html>CANARYworld</html>")})
		}},
		{"a profile written without the word profile", "profile.missing", func(s *Site) {
			s.Write("nobody/.aws/config", "[dev]\nregion = eu-west-1\ncredential_process = /bin/true\n", 0o600)
			s.Set("AWS_PROFILE=dev")
		}},
		{"profiles, and none is named", "chain.empty", func(s *Site) {
			s.Write("nobody/.aws/config", "[profile dev]\ncredential_process = /bin/true\n", 0o600)
		}},
		{"a key id without its secret", "env.partial-keys", func(s *Site) { s.Set(keyPair) }},
		{"temporary keys without session token", "env.session-token-missing", func(s *Site) { s.Set("AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00", secret) }},
		{"a session token left over beside a user's keys", "env.session-token-left-over", func(s *Site) { s.Set(keyPair, secret, "AWS_SESSION_TOKEN=CANARYworld") }},
		{"copied keys that have expired", "env.keys-expired", func(s *Site) {
			s.Set("AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00", secret, "AWS_SESSION_TOKEN=CANARYworld", "AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z")
		}},
		{"quotes from an env file", "env.stray-characters", func(s *Site) {
			s.Set(`AWS_ACCESS_KEY_ID="AKIAEXAMPLEEXAMPLE00"`, `AWS_SECRET_ACCESS_KEY="CANARYworld"`)
		}},
		{"old keys before the container endpoint", "env.keys-hide", func(s *Site) {
			container(s, "")
			s.Set(keyPair, secret)
		}},
		{"a default profile before the container endpoint", "profile.default-hides", func(s *Site) {
			container(s, "")
			s.Write("nobody/.aws/credentials", "[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE00\naws_secret_access_key = CANARYworld\n", 0o600)
		}},
		{"AWS_PROFILE beside keys", "chain.differ", func(s *Site) {
			s.Write("nobody/.aws/config", "[profile dev]\ncredential_process = /bin/sh\n", 0o600)
			s.Set("AWS_PROFILE=dev", keyPair, secret)
		}},
		{"a service account's token that is not mounted", "web-identity.file", func(s *Site) {
			s.Set("AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/secrets/nosuch/token", "AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev")
		}},
		{"a copied service account's token that ended", "web-identity.expired", func(s *Site) {
			s.Set("AWS_WEB_IDENTITY_TOKEN_FILE="+s.Write("jwt", jwt(time.Now().Add(-time.Hour)), 0o600), "AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev")
		}},
		{"Laravel with empty keys in .env", "laravel.empty-keys", func(s *Site) {
			container(s, "")
			s.Write("app/artisan", "", 0o700)
			s.Write("app/.env", "APP_ENV=production\nAWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=\n", 0o600)
			s.Cwd = s.Home + "/app"
		}},
		{"a proxy that catches the ECS endpoint", "proxy.catches", func(s *Site) {
			s.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/CANARYworld", "HTTP_PROXY=http://me:CANARYworld@127.0.0.1:1")
			s.Args = []string{"--offline", "--sdk", "go"}
		}},
		{"a region that is misspelt", "region.invalid", func(s *Site) {
			container(s, "")
			s.Set("AWS_REGION=eu-west1")
		}},
		{"a profile that stands twice in the config, for Python", "files.strict", func(s *Site) {
			container(s, "")
			s.Write("nobody/.aws/config", "[profile dev]\nregion = eu-west-1\n[profile dev]\noutput = json\n", 0o600)
			s.Args = []string{"--sdk", "python"}
		}},
		{"a proxy that catches an emulator on loopback, for Python", "proxy.catches", func(s *Site) {
			s.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.AWS.URL(), "AWS_EC2_METADATA_DISABLED=false", "HTTP_PROXY=me:CANARYworld@127.0.0.1:1", "NO_PROXY=127.0.0.0/8")
			s.Args = []string{"--sdk", "python"}
		}},
		{"a program that says what is wrong", "env.keys-expired", func(s *Site) {
			s.Set(keyPair, secret)
			s.Args = []string{"--", "sh", "-c", "echo 'An error occurred (ExpiredToken) when calling the ListBuckets operation: The provided token has expired.' >&2; exit 254"}
		}},
	} {
		Try(t, c)
	}
}

func TestHealthyEnvironments(t *testing.T) {
	t.Parallel()
	for _, c := range []Case{
		{"a user's keys", "", func(s *Site) { s.Set(keyPair, secret) }},
		{"temporary keys, all three", "", func(s *Site) {
			s.Set("AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00", secret, "AWS_SESSION_TOKEN=CANARYworld")
		}},
		{"a container endpoint", "", func(s *Site) { container(s, "") }},
		{"a container endpoint with a token file", "", func(s *Site) {
			container(s, "CANARYworld")
			s.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + s.Write("token", "CANARYworld", 0o600))
		}},
		{"a service account's token", "", func(s *Site) {
			s.Set("AWS_WEB_IDENTITY_TOKEN_FILE="+s.Write("jwt", jwt(time.Now().Add(time.Hour)), 0o600), "AWS_ROLE_ARN=arn:aws:iam::111111111111:role/dev")
		}},
		{"a profile with a role", "", func(s *Site) { s.Set("HOME="+s.Home, "AWS_PROFILE=dev") }},
		{"a profile of Identity Center, signed in", "", func(s *Site) { s.Set("HOME="+s.Home, "AWS_PROFILE=sso-dev") }},
		{"a profile with a credential_process", "", func(s *Site) {
			s.Write("nobody/.aws/config", "[profile dev]\nregion = eu-west-1\ncredential_process = sh -c 'exit 0'\n", 0o600)
			s.Set("AWS_PROFILE=dev")
		}},
		{"a default profile and nothing else", "", func(s *Site) {
			s.Write("nobody/.aws/credentials", "[default]\naws_access_key_id = AKIAEXAMPLEEXAMPLE00\naws_secret_access_key = CANARYworld\n", 0o600)
		}},
		{"an instance with a role", "", func(s *Site) {
			s.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT="+s.AWS.URL(), "AWS_EC2_METADATA_DISABLED=false")
		}},
	} {
		Try(t, c)
	}
}
