package awsconfig

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// sdkCases are pairs of files on which the SDK and this package must agree.
// They are also the seeds of the fuzz tests.
var sdkCases = []struct{ name, config, credentials string }{
	{"plain", "[default]\nregion = eu-west-1\n[profile a]\nregion=us-east-1\n", "[a]\naws_access_key_id=AKIAFAKE\naws_secret_access_key=s\n"},
	{"comments", "# x\n[default] # y\n; z\nregion = eu-west-1 # c\n[profile a] ; y\nregion=a#b\ncredential_process=x\t;y\nsso_start_url = https://x/start#/\nsso_region=r\nsso_account_id=1\nsso_role_name=n ; m\n", ""},
	{"role", "[profile a]\nrole_arn=arn:aws:iam::123456789012:role/x\nsource_profile=b\nexternal_id = e=f:g\nmfa_serial=arn:aws:iam::1:mfa/u\nrole_session_name='q'\n[profile b]\nregion=2\n", "[b]\naws_access_key_id=AKIAFAKE\naws_secret_access_key=s=s\naws_session_token=\"t t\"\n"},
	{"nested", "[profile a]\ns3 =\n  region = nested\nregion = flat\ncredential_process = x\n  y # z\n", ""},
	{"promoted", "[profile a]\nregion = 1\n  credential_process = y # c\n  region = 2 ; d\n", ""},
	{"orphan", "[profile a]\n  region = 1\n  lost\n", ""},
	{"nested then flat", "[profile a]\nx =\n\tregion = 1\n\tmore\nregion = 2\n", ""},
	{"value lost below an empty key", "[profile a]\nregion =\n  eu-west-1\n", ""},
	{"duplicates", "[profile a]\nregion=1\nregion=2\n[profile b]\n[profile a]\ncredential_process=z\n[default]\nregion=1\n[profile default]\ncredential_process=2\n", ""},
	{"both files", "[profile a]\nregion=1\ncredential_process=c\n[default]\nregion=d\n", "[a]\nregion=2\n[default]\nregion=e\n[c]\nregion=3\n[profile p]\nregion=4\n"},
	{"junk", "junk\nx=1\n[default]\njunk\nregion=1\n=3\n[other]\nregion=2\n", "[]\nregion=1\n"},
	{"mixed case", "[profile A]\nREGION=1\n[profile a]\nReGion=2\n[DEFAULT]\nregion=3\n", ""},
	{"white space", " [ profile   a ] \nregion   =   1  \n", "\t[b c]\nregion : 2\n"},
	{"sso-session", "[profile a]\nsso_session = corp\nsso_account_id=1\nsso_role_name=r\n[sso-session corp]\nsso_region = eu-west-1 # c\nsso_start_url=https://x/start#\n", ""},
	{"CRLF", "[default]\r\nregion = 1\r\n[profile a]\r\nregion = 2 # x\r\n", ""},
	{"unicode", "[profile größe]\nregion=ü\n", "[日本]\nregion=é\n"},
	{"login", "[profile a]\nlogin_session = arn:aws:sts::123456789012:assumed-role/x/y\nweb_identity_token_file=\n", ""},
}

// compare checks every profile we list against the SDK's reading of it.
func compare(t *testing.T, cfgText, credText string) {
	t.Helper()
	dir := t.TempDir()
	p := Paths{filepath.Join(dir, "config"), filepath.Join(dir, "credentials")}
	write(t, p.Config, cfgText)
	write(t, p.Credentials, credText)
	f, err := Load(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Names() {
		s, _ := f.Profile(name)
		sdk, err := config.LoadSharedConfigProfile(context.Background(), name, func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles = []string{p.Config}
			o.CredentialsFiles = []string{p.Credentials}
		})
		if err != nil {
			t.Errorf("profile %q: the SDK says %v", name, err)
			continue
		}
		id, _ := s.Get("aws_access_key_id")
		secret, _ := s.Get("aws_secret_access_key")
		token, _ := s.Get("aws_session_token")
		for _, c := range []struct{ key, ours, theirs string }{
			{"region", s.Text("region"), sdk.Region},
			{"credential_process", s.Text("credential_process"), sdk.CredentialProcess},
			{"role_arn", s.Text("role_arn"), sdk.RoleARN},
			{"source_profile", s.Text("source_profile"), sdk.SourceProfileName},
			{"external_id", s.Text("external_id"), sdk.ExternalID},
			{"mfa_serial", s.Text("mfa_serial"), sdk.MFASerial},
			{"role_session_name", s.Text("role_session_name"), sdk.RoleSessionName},
			{"sso_start_url", s.Text("sso_start_url"), sdk.SSOStartURL},
			{"sso_role_name", s.Text("sso_role_name"), sdk.SSORoleName},
			{"sso_session", s.Text("sso_session"), sdk.SSOSessionName},
			{"login_session", s.Text("login_session"), sdk.LoginSession},
			{"aws_access_key_id", id.Text, sdk.Credentials.AccessKeyID},
			{"aws_secret_access_key", secret.Secret.Reveal(), sdk.Credentials.SecretAccessKey},
			{"aws_session_token", token.Secret.Reveal(), sdk.Credentials.SessionToken},
		} {
			// The SDK keeps the carriage return of a continued line.
			if c.ours != strings.ReplaceAll(c.theirs, "\r\n", "\n") {
				t.Errorf("profile %q: %s is %q here and %q in the SDK", name, c.key, c.ours, c.theirs)
			}
		}
		if sdk.SSOSession != nil {
			session, _ := f.SSOSession(sdk.SSOSessionName)
			if session.Text("sso_region") != sdk.SSOSession.SSORegion || session.Text("sso_start_url") != sdk.SSOSession.SSOStartURL {
				t.Errorf("profile %q: sso-session is %+v here and %+v in the SDK", name, session, sdk.SSOSession)
			}
		}
	}
}

func TestAgainstSDK(t *testing.T) {
	for _, tt := range sdkCases {
		t.Run(tt.name, func(t *testing.T) { compare(t, tt.config, tt.credentials) })
	}
}
