package doctor

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

// pasted are texts as SDKs print them, with the symptom that must come first
// and its most likely cause.
func pasted() [][3]string {
	return [][3]string{
		{"PHP Fatal error:  Uncaught Aws\\Exception\\CredentialsException: Error retrieving credentials from the instance profile metadata service. (cURL error 7: Failed to connect to 169.254.169.254 port 80 after 0 ms: Couldn't connect to server (see https://curl.haxx.se/libcurl/c/libcurl-errors.html) for http://169.254.169.254/latest/meta-data/iam/security-credentials/) in /app/vendor/aws", "php.instance-profile-refused", "php-fpm.clear-env"},
		{"Error retrieving credentials from the instance profile metadata service. (cURL error 28: Connection timed out after 1000 milliseconds", "php.instance-profile-timeout", "php-fpm.clear-env"},
		{"Error retrieving credentials from the instance profile\n   metadata service.", "php.instance-profile", "php-fpm.clear-env"},
		{"cURL error 28: Connection timed out after 1000 milliseconds", "php.curl-28", "php-fpm.clear-env"},
		{"cURL error 28: Operation timed out after 1001 milliseconds with 0 bytes received", "php.curl-28", "php-fpm.clear-env"},
		{"cURL error 7: Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server", "php.curl-7", "php-fpm.clear-env"},
		{"cURL error 6: Could not resolve host: sts.eu-west1.amazonaws.com", "php.curl-6", "container.host"},
		{"Error retrieving credential from ECS (cURL error 7: Failed to connect)", "php.ecs", "container.refused"},
		{"Uri 'http://host.docker.internal:4144/creds' contains an unsupported host.", "php.ecs-host", "container.host"},
		{"Client error: `GET http://169.254.170.2` resulted in a `404 Not Found` response", "php.ecs-404", "php-fpm.clear-env"},
		{"Service account token cannot be empty", "php.eks-token-empty", "php-fpm.clear-env"},
		{"Cannot read credentials from /var/www/.aws/credentials", "php.no-credentials", "chain.empty"},
		{"Unable to locate credentials. You can configure credentials by running \"aws configure\".", "python.no-credentials", "chain.empty"},
		{"botocore.exceptions.NoCredentialsError: Unable to locate credentials", "python.no-credentials", "chain.empty"},
		{"botocore.exceptions.PartialCredentialsError: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY", "python.partial", "env.partial-keys"},
		{"The config profile (dev) could not be found", "python.profile", "profile.missing"},
		{"Error when retrieving credentials from container-role: Error retrieving metadata: Received non 200 response 401 from container metadata", "python.metadata", "container.refused"},
		{"ValueError: Unsupported host 'host.docker.internal'.  Can only retrieve metadata from a loopback address or one of these hosts: Can only retrieve metadata from these hosts", "python.host", "container.host"},
		{"ValueError: Auth token value is not a legal header value", "python.newline", "container.token-newline"},
		{"Error when retrieving credentials from iam-role: Credential refresh failed, response did not contain: access_key", "python.iam-role", "imds.throttled"},
		{"RuntimeError: Credentials were refreshed, but the refreshed credentials are still expired.", "python.refresh", "container.expired"},
		{"Error when retrieving credentials from custom-process: boom", "python.process", "profile.process-failed"},
		{"The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session run aws sso login", "cli.sso-expired", "profile.login-needed"},
		{"Error loading SSO Token: Token for corp does not exist", "cli.sso-expired", "profile.login-needed"},
		{"botocore.exceptions.NoRegionError: You must specify a region.", "cli.region", "region.missing"},
		{"Error: Region is missing", "cli.region", "region.missing"},
		{"CredentialsProviderError: Could not load credentials from any providers", "js.no-providers", "chain.empty"},
		{"CredentialsError: Missing credentials in config, if using AWS_CONFIG_FILE, set AWS_SDK_LOAD_CONFIG=1", "js.missing", "chain.empty"},
		{"CredentialsProviderError: Could not resolve credentials using profile: [dev] in configuration/credentials file(s).", "js.profile", "profile.missing"},
		{"URL not accepted. It must either be HTTPS or match one of the following:\n  - loopback CIDR 127.0.0.0/8 or [::1/128]", "js.host", "container.host"},
		{"TypeError [ERR_INVALID_CHAR]: Invalid character in header content [\"authorization\"]", "js.header", "container.token-newline"},
		{"CredentialsProviderError: EC2 Instance Metadata Service access disabled", "js.imds-disabled", "imds.disabled-word"},
		{"Error: connect ETIMEDOUT 169.254.169.254:80", "js.timeout", "chain.empty"},
		{"operation error S3: ListBuckets, get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request canceled, context deadline exceeded", "go.imds", "chain.empty"},
		{"NoCredentialProviders: no valid providers in chain. Deprecated.", "go.chain", "chain.empty"},
		{"failed to get shared config profile, dev", "go.profile", "profile.missing"},
		{"invalid endpoint host, \"host.docker.internal\", only loopback/ecs/eks hosts are allowed.", "go.host", "container.host"},
		{"authorization token contains invalid newline sequence", "go.newline", "container.token-newline"},
		{"CredentialsEndpointError: failed to load credentials from the endpoint", "go.endpoint", "container.refused"},
		{"failed to refresh cached credentials, the SSO session has expired or is invalid", "go.sso", "profile.login-needed"},
		{"software.amazon.awssdk.core.exception.SdkClientException: Unable to load credentials from any of the providers in the chain AwsCredentialsProviderChain(credentialsProviders=[...])", "java.chain", "chain.empty"},
		{"Cannot fetch credentials from container - neither AWS_CONTAINER_CREDENTIALS_FULL_URI or AWS_CONTAINER_CREDENTIALS_RELATIVE_URI environment variables are set.", "java.container", "env.lost"},
		{"The full URI (http://10.0.0.1/) contained within environment variable AWS_CONTAINER_CREDENTIALS_FULL_URI has an invalid host. Host should resolve to a loopback address or have the full URI be HTTPS.", "java.host", "container.host"},
		{"Failed to load credentials from IMDS.", "java.imds", "env.lost"},
		{"Aws::Errors::MissingCredentialsError: unable to sign request without credentials set", "ruby.missing", "chain.empty"},
		{"Aws::Errors::NoSuchProfileError: Profile `dev' not found in ~/.aws/config", "ruby.profile", "profile.missing"},
		{"Aws::ECSCredentials::InvalidTokenError", "ruby.token", "container.token-newline"},
		{"Amazon.Runtime.AmazonServiceException: Unable to get IAM security credentials from EC2 Instance Metadata Service.", "dotnet.metadata", "chain.empty"},
		{"DispatchFailure: no providers in chain provided credentials", "rust.none", "chain.empty"},
		{"an error occurred while loading credentials: failed to load", "rust.imds", "chain.empty"},
		{"[ERROR] EC2MetadataClient Http request to retrieve credentials failed", "cpp.none", "chain.empty"},
		{"SSL validation failed for https://127.0.0.1/ [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "tls.unknown-ca", "container.tls"},
		{"An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid.", "aws.invalid-client-token", "env.session-token-missing"},
		{"An error occurred (ExpiredToken) when calling the ListObjectsV2 operation: The provided token has expired.", "aws.expired-token", "env.keys-expired"},
		{"SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided.", "aws.signature", "env.stray-characters"},
		{"RequestTimeTooSkewed: The difference between the request time and the current time is too large.", "aws.clock", "clock.skew"},
		{"User: arn:aws:iam::1:user/me is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/x", "aws.assume-denied", "profile.access-denied"},
		{"An error occurred (AccessDenied) when calling the AssumeRoleWithWebIdentity operation: Not authorized to perform sts:AssumeRoleWithWebIdentity", "aws.web-identity", "web-identity.trust"},
		{"AccessDenied: User: arn:aws:sts::1:assumed-role/eks-node-role/i-0abc is not authorized to perform: s3:GetObject", "aws.node-role", "env.lost"},
		{"AccessDenied: User: arn:aws:sts::1:assumed-role/app/x is not authorized to perform: s3:GetObject", "aws.access-denied", "profile.access-denied"},
		{"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining", "aws.chaining", "profile.duration"},
		{"Throttling: Rate exceeded", "aws.throttle", "sts.throttled"},
		{"GET http://169.254.170.2/v2/credentials/x: 429 Too Many Requests", "ecs.429", "container.throttled"},
		{"dial tcp 169.254.170.2:80: i/o timeout", "ecs.unreachable", "container.relative-hides-full"},
		{"dial tcp 169.254.169.254:80: connect: no route to host", "imds.unreachable", "chain.empty"},
		{"GET http://169.254.169.254/latest/meta-data/: 401 - Unauthorized", "imds.401", "imds.v1-client"},
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range pasted() {
		text, id, cause := p[0], p[1], p[2]
		for _, variant := range []string{text, "[2026-01-02 03:04:05] production.ERROR: " + text + "\n#0 {main}\n", strings.ToUpper(text), "\x1b[31m" + strings.ReplaceAll(text, " ", "  \n ") + "\x1b[0m"} {
			got := Explain(variant)
			if len(got) == 0 || got[0].ID != id || got[0].Causes[0].Cause != cause {
				t.Errorf("%.80q: %v, want %s with %s", variant, ids(got), id, cause)
				break
			}
		}
		seen[id] = true
	}
	for _, s := range Symptoms() {
		if !seen[s.ID] {
			t.Errorf("no text of %s is tried", s.ID)
		}
	}
	for _, none := range []string{"", " ", "hello", "all is well", strings.Repeat("x", 1<<20)} {
		if got := Explain(none); got != nil {
			t.Errorf("%.20q: %v", none, ids(got))
		}
	}
	t.Logf("%d symptoms, %d texts", len(Symptoms()), len(pasted()))
}

func ids(list []Symptom) (names []string) {
	for _, s := range list {
		names = append(names, s.ID)
	}
	return names
}

// The table is complete and its parts can match at all.
func TestSymptomsAreWhole(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, s := range Symptoms() {
		if slices.Contains(seen, s.ID) || s.Title == "" || s.SDKs == "" || len(s.Any) == 0 || len(s.Causes) == 0 {
			t.Errorf("%+v", s)
		}
		seen = append(seen, s.ID)
		for _, parts := range s.Any {
			for _, p := range parts {
				if p == "" || flatten(p) != p {
					t.Errorf("%s: %q never matches, as the text is flattened to %q", s.ID, p, flatten(p))
				}
			}
		}
		for _, c := range s.Causes {
			if c.Cause == "" || c.Text == "" || c.Tell == "" || c.Fix == "" || unicode.IsUpper(rune(c.Text[0])) && !strings.HasPrefix(c.Text, "AWS_") && !strings.HasPrefix(c.Text, "HTTP_") && !strings.HasPrefix(c.Text, "EC2") {
				t.Errorf("%s: %+v", s.ID, c)
			}
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, p := range pasted() {
		f.Add(p[0])
	}
	f.Add("\x1b[")
	f.Add("\xff\xfe\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Explain(text) {
			if s.ID == "" || len(s.Causes) == 0 {
				t.Errorf("%+v", s)
			}
		}
		if again := flatten(flatten(text)); again != flatten(text) && !strings.Contains(text, "\x1b") {
			t.Errorf("flatten is not steady: %q", text)
		}
		for _, r := range ExplainResults(text) {
			if strings.Contains(r.Summary, "\x1b") {
				t.Error("an escape of the text is in the summary")
			}
		}
	})
}
