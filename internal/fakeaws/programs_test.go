package fakeaws_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rolecall/internal/fakeaws"
)

func TestProfilesWithTheGoSDK(t *testing.T) {
	s := start(t, fakeaws.Config{})
	home := t.TempDir()
	configFile, credentialsFile, err := s.WriteProfiles(filepath.Join(home, ".aws"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(s.Environ(), "HOME="+home, "USERPROFILE="+home, "AWS_CONFIG_FILE="+configFile,
		"AWS_SHARED_CREDENTIALS_FILE="+credentialsFile, "AWS_EC2_METADATA_DISABLED=true") {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	for profile, arn := range map[string]string{
		"base": "arn:aws:iam::123456789012:user/base", "dev": ":assumed-role/dev/", "staging": ":assumed-role/staging/",
		"prod": ":assumed-role/prod/", "chained": ":assumed-role/chained/", "sso-dev": ":assumed-role/AWSReservedSSO_Developer_",
	} {
		ctx := within(t, 10*time.Second)
		cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile))
		if err != nil {
			t.Fatal(err)
		}
		me, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
		if err != nil {
			t.Errorf("%s: %v", profile, err)
			continue
		}
		if !strings.Contains(*me.Arn, arn) {
			t.Errorf("%s is %s", profile, *me.Arn)
		}
	}
	cache := filepath.Join(home, ".aws/sso/cache", fakeaws.CacheName(fakeaws.SSOSession))
	for _, name := range []string{configFile, credentialsFile, cache} {
		if info, err := os.Stat(name); err != nil || filepath.Separator == '/' && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

// programs lists the copies of name that there are: the first on PATH, and the system's own.
func programs(t *testing.T, name string) []string {
	var found []string
	for _, candidate := range []string{name, "/usr/bin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil && (len(found) == 0 || found[0] != path) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skipf("no %s is installed here", name)
	}
	return found
}

func output(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(within(t, 60*time.Second), name, args...)
	cmd.Env = env
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr), err
	}
	return string(out), err
}

// home writes the profiles and returns the environment of a program that uses them. The SSO sign-in in it has an
// expired access token and a good refresh token, so that the program has to renew it.
func home(t *testing.T, s *fakeaws.Server) []string {
	dir := t.TempDir()
	configFile, credentialsFile, err := s.WriteProfiles(filepath.Join(dir, ".aws"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.NewSSOLogin(time.Now().Add(-time.Minute)).CacheFile(s.URL()+"/start", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".aws/sso/cache", fakeaws.CacheName(fakeaws.SSOSession)), token, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(s.Environ(), "HOME="+dir, "USERPROFILE="+dir, "PATH="+os.Getenv("PATH"), "AWS_PAGER=", "NODE_PATH="+os.Getenv("NODE_PATH"),
		"AWS_CONFIG_FILE="+configFile, "AWS_SHARED_CREDENTIALS_FILE="+credentialsFile)
}

func TestAWSCLI(t *testing.T) {
	for _, aws := range programs(t, "aws") {
		t.Run(aws, func(t *testing.T) {
			s := start(t, fakeaws.Config{})
			env := append(home(t, s), "AWS_EC2_METADATA_DISABLED=true")
			version, err := output(t, env, aws, "--version")
			if err != nil {
				t.Skipf("%s does not run here: %v", aws, err)
			}
			run := func(args ...string) map[string]any {
				t.Helper()
				if !knowsEndpointVariables(version) {
					args = append(args, "--endpoint-url", s.URL())
				}
				text, err := output(t, env, aws, append(args, "--output", "json")...)
				var answer map[string]any
				if err == nil {
					err = json.Unmarshal([]byte(text), &answer)
				}
				if err != nil {
					t.Fatalf("aws %s: %v: %s", strings.Join(args, " "), err, text)
				}
				return answer
			}
			if me := run("sts", "get-caller-identity", "--profile", "base"); me["Arn"] != "arn:aws:iam::123456789012:user/base" {
				t.Errorf("I am %v", me)
			}
			got := run("sts", "assume-role", "--profile", "base", "--role-arn", fakeaws.RoleProd, "--role-session-name", "cli")
			creds, _ := got["Credentials"].(map[string]any)
			id, _ := creds["AccessKeyId"].(string)
			if k, ok := s.Issued(id); !ok || k.RoleARN != fakeaws.RoleProd || creds["SecretAccessKey"] != k.SecretAccessKey {
				t.Errorf("issued %v %s", ok, k.RoleARN)
			}
			if knowsEndpointVariables(version) {
				me := run("sts", "get-caller-identity", "--profile", "chained")
				if arn, _ := me["Arn"].(string); !strings.HasPrefix(arn, "arn:aws:sts::111111111111:assumed-role/chained/") {
					t.Errorf("chained is %v", me)
				}
			}
		})
	}
}

// knowsEndpointVariables holds from botocore 1.31 and aws CLI 2.13 on.
func knowsEndpointVariables(version string) bool {
	for _, known := range []struct {
		pattern string
		minor   int
	}{{`aws-cli/2\.(\d+)\.`, 13}, {`botocore/1\.(\d+)\.`, 31}} {
		if m := regexp.MustCompile(known.pattern).FindStringSubmatch(version); m != nil {
			minor, err := strconv.Atoi(m[1])
			return err == nil && minor >= known.minor
		}
	}
	return true
}

const boto = `
import boto3, botocore, json, os, sys
url = os.environ["AWS_ENDPOINT_URL_STS"]
new = tuple(map(int, botocore.__version__.split(".")[:2])) >= (1, 31)
def me(**kw):
    return boto3.Session(**kw).client("sts", endpoint_url=url).get_caller_identity()["Arn"]
out = {"base": me(profile_name="base")}
c = boto3.Session(profile_name="base").client("sts", endpoint_url=url).assume_role(
    RoleArn="arn:aws:iam::333333333333:role/prod", RoleSessionName="boto")["Credentials"]
out["keys"] = me(aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"])
if new:
    out["chained"] = me(profile_name="chained")
    out["sso"] = me(profile_name="sso-dev")
del os.environ["AWS_CONFIG_FILE"], os.environ["AWS_SHARED_CREDENTIALS_FILE"]
os.environ["HOME"] = os.environ["USERPROFILE"] = os.path.join(os.environ["HOME"], "nobody")
out["imds"] = me()
os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = os.environ["CONTAINER_URL"]
os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "open sesame"
out["container"] = me()
print(json.dumps(out))
`

func TestBoto3(t *testing.T) {
	ran := false
	for _, python := range programs(t, "python3") {
		s := start(t, fakeaws.Config{ContainerAuthorization: "open sesame"})
		env := append(home(t, s), "CONTAINER_URL="+s.ContainerURL("task"))
		if _, err := output(t, env, python, "-c", "import boto3"); err != nil {
			continue
		}
		ran = true
		t.Run(python, func(t *testing.T) {
			checkIdentities(t, s, env, python, "-c", boto)
		})
	}
	if !ran {
		t.Skip("no python3 here has boto3")
	}
}

const javaScript = `
const { STSClient, GetCallerIdentityCommand, AssumeRoleCommand } = require("@aws-sdk/client-sts");
const p = require("@aws-sdk/credential-providers");
const me = async (credentials) => (await new STSClient({ credentials }).send(new GetCallerIdentityCommand({}))).Arn;
(async () => {
  const out = { base: await me(p.fromIni({ profile: "base" })) };
  const sts = new STSClient({ credentials: p.fromIni({ profile: "base" }) });
  const c = (await sts.send(new AssumeRoleCommand({ RoleArn: "arn:aws:iam::333333333333:role/prod", RoleSessionName: "js" }))).Credentials;
  out.keys = await me({ accessKeyId: c.AccessKeyId, secretAccessKey: c.SecretAccessKey, sessionToken: c.SessionToken });
  out.chained = await me(p.fromIni({ profile: "chained" }));
  out.sso = await me(p.fromSSO({ profile: "sso-dev" }));
  out.imds = await me(p.fromInstanceMetadata());
  out.container = await me(p.fromHttp({ awsContainerCredentialsFullUri: process.env.CONTAINER_URL, awsContainerAuthorizationToken: "open sesame" }));
  console.log(JSON.stringify(out));
})().catch((e) => { console.error(e); process.exit(1); });
`

func TestJavaScript(t *testing.T) {
	s := start(t, fakeaws.Config{ContainerAuthorization: "open sesame"})
	env := append(home(t, s), "CONTAINER_URL="+s.ContainerURL("task"))
	node := programs(t, "node")[0]
	if _, err := output(t, env, node, "-e", `require("@aws-sdk/client-sts"), require("@aws-sdk/credential-providers")`); err != nil {
		t.Skip("node does not find @aws-sdk/client-sts and @aws-sdk/credential-providers: set NODE_PATH to where npm put them")
	}
	checkIdentities(t, s, env, node, "-e", javaScript)
}

// checkIdentities runs a program that prints who it is under each kind of credentials.
func checkIdentities(t *testing.T, s *fakeaws.Server, env []string, name string, args ...string) {
	text, err := output(t, env, name, args...)
	var got map[string]string
	if err == nil {
		err = json.Unmarshal([]byte(text), &got)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for who, arn := range map[string]string{
		"base":      "arn:aws:iam::123456789012:user/base",
		"keys":      "arn:aws:sts::333333333333:assumed-role/prod/",
		"chained":   "arn:aws:sts::111111111111:assumed-role/chained/",
		"sso":       "arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Developer_",
		"imds":      "arn:aws:sts::123456789012:assumed-role/instance-role/",
		"container": "arn:aws:sts::123456789012:assumed-role/task/",
	} {
		if said, ok := got[who]; ok && !strings.HasPrefix(said, arn) {
			t.Errorf("%s is %s, want %s", who, said, arn)
		}
	}
	if len(got) < 4 {
		t.Errorf("only %v", got)
	}
	if _, ok := got["sso"]; ok && s.Calls("oidc:CreateToken") != 1 {
		t.Errorf("%d refreshes of the expired SSO token, want 1", s.Calls("oidc:CreateToken"))
	}
}
