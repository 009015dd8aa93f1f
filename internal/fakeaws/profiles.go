package fakeaws

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Roles that the profiles of WriteProfiles use.
const (
	RoleDev     = "arn:aws:iam::111111111111:role/dev"
	RoleStaging = "arn:aws:iam::222222222222:role/staging"
	RoleProd    = "arn:aws:iam::333333333333:role/prod"
	RoleChained = "arn:aws:iam::111111111111:role/chained"

	// SSOSession is the sso_session of the profile sso-dev, SSOAccountID its account and SSORole its role.
	SSOSession   = "fake"
	SSOAccountID = "111111111111"
	SSORole      = "Developer"
)

// Environ lists the variables, as "NAME=value", that point SDKs at the fake. botocore before 1.31 does not know
// AWS_ENDPOINT_URL_*: there pass --endpoint-url, or endpoint_url in code. Nothing before Start.
func (s *Server) Environ() []string {
	url := s.URL()
	if url == "" {
		return nil
	}
	return []string{
		"AWS_ENDPOINT_URL_STS=" + url,
		"AWS_ENDPOINT_URL_IAM=" + url,
		"AWS_ENDPOINT_URL_EC2=" + url,
		"AWS_ENDPOINT_URL_ECS=" + url,
		"AWS_ENDPOINT_URL_SSO=" + url,
		"AWS_ENDPOINT_URL_SSO_OIDC=" + url,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url,
		"AWS_REGION=" + s.cfg.Region,
		"AWS_DEFAULT_REGION=" + s.cfg.Region,
	}
}

// BaseUser is the long-term key of the profile base.
func (s *Server) BaseUser() (accessKeyID, secret string) { return s.base.keyID, s.base.secret }

// WriteProfiles writes config and credentials into dir, with these profiles: base (static keys of a user), dev,
// staging and prod (roles assumed from base), chained (a role assumed from dev) and sso-dev (an sso_session,
// signed in: the cached token is in dir/sso/cache). SDKs look for that cache in HOME/.aws only, so dir should be
// that of the program under test. Directories are made 0700, files 0600; older files are replaced.
func (s *Server) WriteProfiles(dir string) (configFile, credentialsFile string, err error) {
	configFile, credentialsFile = filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	cache := filepath.Join(dir, "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", "", fmt.Errorf("fakeaws: %w", err)
	}
	startURL := "http://127.0.0.1/start" // a name only: nobody opens it
	if url := s.URL(); url != "" {
		startURL = url + "/start"
	}
	login := s.NewSSOLogin(s.now().Add(s.cfg.SSOTokenLifetime))
	s.AddSSOAccount(SSOAccount{ID: SSOAccountID, Name: "Development", Roles: []string{SSORole, "ReadOnly"}})
	token, err := login.CacheFile(startURL, s.cfg.Region)
	if err != nil {
		return "", "", err
	}
	for name, body := range map[string][]byte{
		configFile:      []byte(s.profiles(startURL)),
		credentialsFile: fmt.Appendf(nil, "[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.base.keyID, s.base.secret),
		filepath.Join(cache, CacheName(SSOSession)): token,
	} {
		if err := os.WriteFile(name, body, 0o600); err != nil {
			return "", "", fmt.Errorf("fakeaws: %w", err)
		}
	}
	return configFile, credentialsFile, nil
}

func (s *Server) profiles(startURL string) string {
	text := fmt.Sprintf("[profile base]\nregion = %s\n", s.cfg.Region)
	for _, p := range []struct{ name, role, source string }{
		{"dev", RoleDev, "base"}, {"staging", RoleStaging, "base"}, {"prod", RoleProd, "base"}, {"chained", RoleChained, "dev"},
	} {
		text += fmt.Sprintf("\n[profile %s]\nregion = %s\nrole_arn = %s\nsource_profile = %s\n", p.name, s.cfg.Region, p.role, p.source)
	}
	return text + fmt.Sprintf(`
[profile sso-dev]
region = %[1]s
sso_session = %[2]s
sso_account_id = %[3]s
sso_role_name = %[4]s

[sso-session %[2]s]
sso_start_url = %[5]s
sso_region = %[1]s
sso_registration_scopes = sso:account:access
`, s.cfg.Region, SSOSession, SSOAccountID, SSORole, startURL)
}

// CacheName is the file's name of a cached sign-in: the SHA-1 of the session's name (of the start URL for
// profiles without an sso_session), as the aws CLI has it.
func CacheName(session string) string {
	sum := sha1.Sum([]byte(session))
	return hex.EncodeToString(sum[:]) + ".json"
}

// CacheFile is the sign-in in the form that the aws CLI caches it.
func (l SSOLogin) CacheFile(startURL, region string) ([]byte, error) {
	body, err := json.Marshal(map[string]string{
		"startUrl": startURL, "region": region,
		"accessToken": l.AccessToken, "expiresAt": l.Expires.UTC().Format(time.RFC3339),
		"clientId": l.ClientID, "clientSecret": l.ClientSecret,
		"registrationExpiresAt": l.ClientExpires.UTC().Format(time.RFC3339), "refreshToken": l.RefreshToken,
	})
	if err != nil {
		return nil, fmt.Errorf("fakeaws: %w", err)
	}
	return body, nil
}
