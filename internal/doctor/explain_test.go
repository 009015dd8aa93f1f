package doctor

import (
	"fmt"
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
		{"cURL error 6: Could not resolve host: aws-proxy", "php.curl-6", "container.host"},
		{"Error retrieving credential from ECS (cURL error 7: Failed to connect)", "php.ecs", "container.refused"},
		{"Uri 'http://host.docker.internal:4144/creds' contains an unsupported host.", "php.ecs-host", "container.host"},
		{"Client error: `GET http://169.254.170.2` resulted in a `404 Not Found` response", "php.ecs-404", "php-fpm.clear-env"},
		{"Service account token cannot be empty", "php.eks-token-empty", "php-fpm.clear-env"},
		{"Cannot read credentials from /var/www/.aws/credentials", "php.no-credentials", "chain.empty"},
		{"Unable to locate credentials. You can configure credentials by running \"aws configure\".", "python.no-credentials", "chain.empty"},
		{"botocore.exceptions.NoCredentialsError: Unable to locate credentials", "python.no-credentials", "chain.empty"},
		{"botocore.exceptions.PartialCredentialsError: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY", "python.partial", "env.partial-keys"},
		{"The config profile (dev) could not be found", "python.profile", "profile.missing"},
		{"Error when retrieving credentials from container-role: Error retrieving metadata: Received something from container metadata", "python.metadata", "container.refused"},
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
		// Texts that users pasted into the trackers of the SDKs.
		{"Error retrieving credential from ECS (Client error: `GET http://169.254.170.2` resulted in a `404 Not Found` response: 404 page not found )", "php.ecs-404", "php-fpm.clear-env"},
		{"Aws\\Exception\\CredentialsException: Error retrieving credentials from the instance profile metadata server. (cURL error 28: Connection timed out after 1001 milliseconds (see http://curl.haxx.se/libcurl/c/libcurl-errors.html))", "php.instance-profile-timeout", "php-fpm.clear-env"},
		{"Error retrieving credentials from the instance profile metadata server. (cURL error 7: Failed to connect to 169.254.169.254 port 80: No route to host", "php.instance-profile-refused", "php-fpm.clear-env"},
		{"Error retrieving credentials from the instance profile metadata server. (Client error: `GET http://169.254.169.254/latest/meta-data/iam/security-credentials/` resulted in a `404 Not Found`", "php.instance-profile-404", "imds.no-role"},
		{"PHP Fatal error:  Uncaught Aws\\Exception\\CredentialsException: Unexpected instance profile response code:  in /var/app/current/InstanceProfileProvider.php:96", "imds.no-keys", "imds.role-refused"},
		{"Error retrieving credential from ECS (Client error: `GET http://169.254.170.23/v1/credentials` resulted in a `400 Bad Request` response:\nService account token cannot be empty", "php.eks-token-empty", "php-fpm.clear-env"},
		{"Error retrieving credentials from container metadata after attempt 4/3 (cURL error 28: Operation timed out after 1001 milliseconds with 0 bytes received for http://169.254.170.2/v2/credentials/x)", "php.ecs-timeout", "container.timeout"},
		{"Error retrieving credentials from container metadata (Client error: `GET http://127.0.0.1:4144/` resulted in a `403 Forbidden` response", "php.ecs-token", "container.unauthorized"},
		{"Error retrieving credentials from container metadata (Client error: `GET http://169.254.170.2/v2/credentials/x` resulted in a `404 Not Found` response", "php.ecs-gone", "container.not-found"},
		{"Error executing \"PutObject\" on \"https://b.s3.amazonaws.com/x\"; AWS HTTP error: cURL error 28: Operation timed out after 60001 milliseconds with 12345 out of 99999 bytes received", "php.curl-aws", "network.aws"},
		{"Error executing \"PutObject\"; AWS HTTP error: cURL error 6: Could not resolve host: b.s3.eu-west-1a.amazonaws.com", "aws.endpoint", "region.invalid"},
		{"InvalidArgumentException: Missing required client configuration options:\n\nregion: (string)\n\n  A \"region\" configuration value is required for the \"s3\" service", "cli.region", "region.missing"},
		{"CredentialsException: Error reading WebIdentityTokenFile from /var/run/secrets/eks.amazonaws.com/serviceaccount/token", "aws.web-identity-file", "web-identity.file"},
		{"curl: (7) Failed to connect to 169.254.170.2 port 80 after 0 ms: Couldn't connect to server", "ecs.unreachable", "container.relative-hides-full"},
		{"botocore.exceptions.CredentialRetrievalError: Error when retrieving credentials from container-role: Error retrieving metadata: Received error when attempting to retrieve container metadata: Could not connect to the endpoint URL: \"http://localhost:39279/2016-11-01/credentialprovider/\"", "python.metadata", "container.refused"},
		{"botocore.exceptions.CredentialRetrievalError: Error when retrieving credentials from container-role: Error retrieving metadata: Received non 200 response 401 from container metadata: Unauthorized", "python.metadata-token", "container.unauthorized"},
		{"Error when retrieving credentials from container-role: Error retrieving metadata: Received error when attempting to retrieve container metadata: Read timeout on endpoint URL: \"http://169.254.170.2/v2/credentials/x\"", "python.metadata-timeout", "container.timeout"},
		{"Error when retrieving credentials from container-role: Error retrieving metadata: Received non 200 response 404 from container metadata: not found", "python.metadata-gone", "container.not-found"},
		{"ValueError: Unsupported host 'host.docker.internal'.  Can only retrieve metadata from a loopback address or one of these hosts: 169.254.170.2, 169.254.170.23, fd00:ec2::23, localhost", "python.host", "container.host"},
		{"An error occurred (ExpiredTokenException) when calling the AssumeRoleWithWebIdentity operation: Token expired: current date/time 1699999 must be before the expiration date/time 1699998", "aws.web-identity-expired", "web-identity.expired"},
		{"An error occurred (InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation: No OpenIDConnect provider found in your account for https://oidc.eks", "aws.web-identity", "web-identity.trust"},
		{"botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: \"https://s3.eu-west1.amazonaws.com/\"", "aws.endpoint", "region.invalid"},
		{"botocore.exceptions.InvalidRegionError: Provided region_name 'eu west 1' doesn't match a supported format.", "aws.endpoint", "region.invalid"},
		{"botocore.exceptions.InvalidConfigError: The source profile \"base\" must have credentials.", "aws.profile-chain", "profile.source-missing"},
		{"Partial credentials found in assume-role, missing: source_profile or credential_source", "aws.profile-chain", "profile.source-missing"},
		{"botocore.exceptions.InfiniteLoopConfigError: Infinite loop in credential configuration detected. Attempting to load from profile a which has already been visited.", "aws.profile-chain", "profile.source-missing"},
		{"botocore.exceptions.ConfigParseError: Unable to parse config file: /home/ada/.aws/config", "aws.files", "files.strict"},
		{"An error occurred (AccessDenied) when calling the AssumeRole operation: MultiFactorAuthentication failed with invalid MFA one time pass code.", "aws.mfa", "profile.mfa"},
		{"An error occurred (AuthFailure) when calling the DescribeInstances operation: AWS was not able to validate the provided access credentials", "aws.invalid-client-token", "env.session-token-missing"},
		{"An error occurred (InvalidAccessKeyId) when calling the ListBuckets operation: The AWS Access Key Id you provided does not exist in our records.", "aws.invalid-client-token", "env.session-token-missing"},
		{"Error: TimeoutError\n    at ClientRequest.<anonymous> (/node_modules/@aws-sdk/credential-provider-imds/dist/cjs/remoteProvider/httpRequest.js:17:20)", "js.timeout", "chain.empty"},
		{"ProviderError: Unable to connect to instance metadata service", "js.timeout", "chain.empty"},
		{"CredentialsProviderError: The container metadata credential provider cannot be used unless the AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI environment variable is set", "js.container-unset", "env.lost"},
		{"CredentialsProviderError: The SSO session token associated with profile=dev was not found or is invalid. To refresh this SSO session run 'aws sso login' with the corresponding profile.", "cli.sso-expired", "profile.login-needed"},
		{"TokenProviderError: Token is expired. To refresh this SSO session run 'aws sso login' with the corresponding profile.", "cli.sso-expired", "profile.login-needed"},
		{"Error: Resolved credential object is not valid", "aws.empty-keys", "env.empty-keys"},
		{"│ AWS Error: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata,\n│ access disabled to EC2 IMDS via client option, or \"AWS_EC2_METADATA_DISABLED\" environment variable\n│", "go.imds-disabled", "chain.empty"},
		{"Error: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error StatusCode: 404, request to EC2 IMDS failed", "go.imds-404", "imds.no-role"},
		{"AWS Error: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, exceeded maximum number of attempts, 3, request send failed, Get \"http://169.254.169.254/latest/meta-data/iam/security-credentials/\": dial tcp 169.254.169.254:80: i/o timeout", "go.imds", "chain.empty"},
		{"operation error S3: ListBuckets, get identity: get credentials: failed to refresh cached credentials, static credentials are empty", "aws.empty-keys", "env.empty-keys"},
		{"get credentials: failed to refresh cached credentials, failed to load credentials, exceeded maximum number of attempts, 3, : Get \"http://127.0.0.1:4144/\": dial tcp 127.0.0.1:4144: connect: connection refused", "go.endpoint", "container.refused"},
		{"failed to refresh cached credentials, failed to retrieve jwt from provide source, unable to read file at /var/run/secrets/eks.amazonaws.com/serviceaccount/token: open: permission denied", "aws.web-identity-file", "web-identity.file"},
		{"operation error S3: ListBuckets, failed to resolve service endpoint, endpoint rule error, A region must be set when sending requests to S3.", "cli.region", "region.missing"},
		{"software.amazon.awssdk.core.exception.SdkClientException: The requested metadata is not found at http://169.254.169.254/latest/meta-data/iam/security-credentials/", "imds.no-role", "imds.no-role"},
		{"com.amazonaws.SdkClientException: Unable to load AWS credentials from any provider in the chain: [EnvironmentVariableCredentialsProvider: Unable to load AWS credentials from environment variables, com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper@1b2: Failed to connect to service endpoint: ]", "java.chain", "chain.empty"},
		{"To use web identity tokens, the 'sts' service module must be on the class path.", "java.module", "sdk.module"},
		{"Unable to load credentials. Access key or secret key are null", "imds.no-keys", "imds.role-refused"},
		{"Aws::Errors::MissingRegionError: No region was provided. Configure the `:region` option or export the region name to ENV['AWS_REGION']", "cli.region", "region.missing"},
		{"Aws::Errors::NoSourceProfileError: Profile dev has a role_arn, and source_profile, but the source_profile does not have credentials.", "aws.profile-chain", "profile.source-missing"},
		{"Amazon.Runtime.AmazonClientException: Failed to resolve AWS credentials. The credential providers used to search for credentials returned the following errors:\n\nException 1 of 4: Unable to find the 'default' profile in CredentialProfileStoreChain.", "dotnet.metadata", "chain.empty"},
		{"Amazon.Runtime.AmazonClientException: No RegionEndpoint or ServiceURL configured", "cli.region", "region.missing"},
		{"provider failed to provide credentials provider=EcsContainer error=the credentials provider was not properly configured: invalid full URI for ECS provider (URI did not refer to the loopback interface): http://169.254.170.23/v1/credentials", "eks.old-sdk", "sdk.old"},
		{"invalid full URI for ECS provider (URI did not refer to the loopback interface): http://host.docker.internal:4144/", "rust.host", "container.host"},
		{"dial tcp 169.254.170.23:80: connect: connection refused", "eks.unreachable", "container.refused"},
		{"{\"code\":\"InvalidIdInRequest\",\"message\":\"CredentialsV2Request: Credentials not found\",\"HTTPErrorCode\":400}", "ecs.gone", "container.not-found"},
		{"CredentialsProviderError: Profile dev credential_process returned invalid JSON.", "python.process", "profile.process-failed"},
		{"get credentials: failed to refresh cached credentials, process provider error: error in credential_process: exit status 1", "python.process", "profile.process-failed"},
		{"CredentialsProviderError: Detected a cycle attempting to resolve credentials for profile a. Profiles visited: a, b", "aws.profile-chain", "profile.source-missing"},
		{"EcsContainer was specified as the credential_source, but 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI' was not set", "js.container-unset", "env.lost"},
		{"ECS was unable to assume the role 'arn:aws:iam::123456789012:role/app' that was provided for this task.", "ecs.role", "role.trust"},
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
	for _, none := range []string{"", " ", "hello", "all is well", "permission denied", "Connection timed out", strings.Repeat("x", 1<<20),
		"GET http://169.254.169.254/\n" + strings.Repeat("all is well\n", 500) + "401"} {
		if got := Explain(none); got != nil {
			t.Errorf("%.20q: %v", none, ids(got))
		}
	}
	// The last error of a long log is found, whatever stands before and after.
	noise := strings.Repeat("2026-01-02 03:04:05 INFO all is well\n", 1<<17)
	if got := Explain(noise + "Unable to locate credentials\n" + noise[:1<<20]); len(got) == 0 || got[0].ID != "python.no-credentials" {
		t.Errorf("in a log: %v", ids(got))
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
		if r, ok := saidBy(text); ok && (strings.Contains(fmt.Sprint(r), "\x1b") || strings.HasPrefix(r.Cause, "php-fpm.")) {
			t.Errorf("%+v", r)
		}
	})
}

// A program that is run by hand is none of php-fpm's, whatever its words.
func TestSaidByAProgram(t *testing.T) {
	t.Parallel()
	r, ok := saidBy("cURL error 28: Connection timed out after 1000 milliseconds")
	if !ok || r.Cause != "imds.throttled" || len(r.Fixes) == 0 {
		t.Errorf("%+v", r)
	}
	if r, ok := saidBy("all is well"); ok {
		t.Errorf("%+v", r)
	}
}

// One cause is told once, and a guess from a program's words is no second fault.
func TestConfirmed(t *testing.T) {
	t.Parallel()
	seen := Result{Check: "chain", Outcome: Failed, Cause: "chain.empty", Summary: "nothing is set", Evidence: []Evidence{{Text: "seen"}}}
	said := func(text string) Result {
		return Run(t.Context(), []Check{Ended("it", "exit code 1", text)}).Results[0]
	}
	for _, tt := range []struct {
		results  []Result
		failed   int
		warned   int
		evidence string
	}{
		{[]Result{seen, said("Unable to locate credentials")}, 1, 0, "it ended with exit code 1, and said so itself: Unable to locate credentials"},
		{[]Result{said("Unable to locate credentials"), seen}, 1, 0, "said so itself"},
		{[]Result{seen, said("The config profile (x) could not be found")}, 1, 1, "seen"},
		{[]Result{said("The config profile (x) could not be found")}, 1, 0, "the text is"},
		{[]Result{seen, said("hello")}, 1, 1, "seen"},
		{[]Result{seen}, 1, 0, "seen"},
		{[]Result{seen, {Outcome: Warning, Cause: "chain.empty"}, {Outcome: Warning, Cause: "chain.empty", Target: "another"}}, 1, 1, "seen"},
		{[]Result{{Outcome: Failed, Cause: "daemon.slot-empty", Summary: "empty"}, {Outcome: Failed, Cause: "container.not-found", Summary: "no such"}}, 1, 0, "no such"},
		{[]Result{{Outcome: Warning, Cause: "daemon.slot-failing"}, {Outcome: Failed, Cause: "container.unavailable", Evidence: []Evidence{{Text: "seen"}}}}, 1, 1, "seen"},
		{nil, 0, 0, ""},
	} {
		r := Report{Results: tt.results}.Sorted().Confirmed()
		if r.Count(Failed) != tt.failed || r.Count(Warning) != tt.warned || len(r.Results) > 0 && !strings.Contains(fmt.Sprint(r.Results[0].Evidence), tt.evidence) {
			t.Errorf("%+v", r)
		}
	}
	if len(seen.Evidence) != 1 {
		t.Error("the evidence of another report was changed")
	}
}
