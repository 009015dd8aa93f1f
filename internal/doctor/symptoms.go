package doctor

// Causes that several symptoms share.
func likely() causeTable {
	return causeTable{
		"clear-env": {"php-fpm.clear-env", "php-fpm drops the container's variables (clear_env), so the SDK asks EC2's metadata service, which is not there",
			"rolecall doctor php-fpm", "pass the variables on in the pool: env[AWS_CONTAINER_CREDENTIALS_RELATIVE_URI] = $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
		"lost": {"env.lost", "whoever starts the program (cron, supervisord, systemd, sudo, ssh) drops the container's variables",
			"rolecall doctor --pid PID", "hand the variables on, or read them from /proc/1/environ"},
		"empty": {"chain.empty", "nothing is set up that gives credentials: no keys, no profile, no endpoint",
			"rolecall doctor", "name a profile (AWS_PROFILE), or run the program with rolecall exec PROFILE -- COMMAND"},
		"throttle": {"imds.throttled", "many short-lived processes ask the metadata service, which throttles or answers late",
			"rolecall doctor imds", "keep one warm answer (rolecall serve --load imds), cache credentials in the program, raise AWS_METADATA_SERVICE_TIMEOUT and AWS_METADATA_SERVICE_NUM_ATTEMPTS"},
		"hop": {"imds.hop-limit", "the program is in a container and the hop limit of the instance is 1: the IMDSv2 token never arrives",
			"rolecall doctor imds", "aws ec2 modify-instance-metadata-options --instance-id INSTANCE --http-put-response-hop-limit 2"},
		"noec2": {"chain.empty", "this is no EC2 instance, and nothing else is set up: the metadata service is only the last thing that is tried",
			"rolecall doctor", "set up a profile or an endpoint, and AWS_EC2_METADATA_DISABLED=true to be told at once"},
		"norole": {"imds.no-role", "the instance has no role", "rolecall doctor imds", "attach an instance profile"},
		"login":  {"profile.login-needed", "the sign-in to IAM Identity Center has ended", "rolecall doctor profile NAME", "rolecall login NAME, or aws sso login --profile NAME"},
		"missing": {"profile.missing", "AWS_PROFILE or --profile names a profile that the files do not have (in config it is written [profile NAME], in credentials [NAME])",
			"rolecall doctor profile NAME", "correct the name, or AWS_CONFIG_FILE"},
		"newline": {"container.token-newline", "the authorization token (or its file) ends with a line break", "rolecall doctor", "write the file with printf %s, without a line break"},
		"host":    {"container.host", "AWS_CONTAINER_CREDENTIALS_FULL_URI has a host that the SDK does not take over http (host.docker.internal, a name, another machine)", "rolecall doctor", "use http://127.0.0.1:PORT/…, 169.254.170.2, or https"},
		"server":  {"container.refused", "the server behind AWS_CONTAINER_CREDENTIALS_FULL_URI does not run (any more), or listens elsewhere", "rolecall doctor ecs", "start it: rolecall serve --load PROFILE"},
		"stale":   {"container.relative-hides-full", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is stale: it was inherited from a task, and hides the other URI", "rolecall doctor", "unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
		"token":   {"container.unauthorized", "the authorization token is missing or not the server's", "rolecall doctor ecs", "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE to the server's file, and only that"},
		"oldkeys": {"env.keys-expired", "temporary keys were copied into the environment, a file or a configuration, where nobody renews them", "rolecall doctor", "unset them and let the SDK fetch them"},
		"notoken": {"env.session-token-missing", "temporary keys (ASIA…) are used without their session token", "rolecall doctor", "set AWS_SESSION_TOKEN (in Laravel 'token' beside key and secret), or remove all three"},
		"wrongid": {"profile.keys-invalid", "the key id is of no user: deleted, deactivated, or of another partition (China, GovCloud)", "rolecall doctor profile NAME", "make new keys, or name a region of the right partition"},
		"secret":  {"env.stray-characters", "the secret is cut short or has blanks, quotes or a line break around it", "rolecall doctor", "set it again, without"},
		"clock":   {"clock.skew", "this machine's clock is off by five minutes or more", "rolecall doctor imds", "timedatectl set-ntp true"},
		"trust":   {"profile.access-denied", "the role's trust policy does not name the caller (or its external id, or MFA, is missing)", "rolecall doctor profile NAME", "add the caller's ARN to the trust policy; look at role_arn, external_id and mfa_serial"},
		"node":    {"env.lost", "the program fell back to the instance's role, since its own variables do not reach it", "rolecall doctor --pid PID", "pass the container's variables on, and block the metadata service from containers (hop limit 1)"},
		"denied":  {"profile.access-denied", "the role is the right one and has no policy for the call", "aws sts get-caller-identity", "add the action to the role's policy"},
		"process": {"profile.process-failed", "the program of credential_process failed, or wrote something else than JSON", "rolecall doctor profile NAME", "run the program by hand: it must write Version 1, AccessKeyId, SecretAccessKey, and nothing else"},
		"region":  {"region.missing", "no region is set: AWS_REGION (boto3: AWS_DEFAULT_REGION), or region in the profile", "rolecall doctor", "export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1"},
		"irsa":    {"web-identity.file", "the web identity token file is not there or cannot be read by the program's user", "rolecall doctor", "look at the service account's annotation, and set fsGroup"},
		"config":  {"laravel.empty-keys", "the application's configuration hands on empty keys (env() is null after config:cache)", "rolecall doctor php-fpm", "drop key and secret from the configuration, or run php artisan config:clear"},
		"proxy":   {"proxy.catches", "HTTP_PROXY sends the request for a link-local address to the proxy", "rolecall doctor", "export NO_PROXY=169.254.169.254,169.254.170.2,169.254.170.23"},
		"gone":    {"container.not-found", "the path of the URI is of a task that ended, or names a slot that is empty", "rolecall doctor ecs", "take the variable from the task that runs; of rolecall: rolecall list"},
		"network": {"network.aws", "no way leads to AWS itself: a route (NAT gateway, VPC endpoint), a firewall or a proxy; the credentials are not the matter", "rolecall doctor profile NAME", "look at network, HTTPS_PROXY and AWS_ENDPOINT_URL"},
		"slip":    {"region.invalid", "the region is misspelt (eu-west1), or is an availability zone (eu-west-1a), so that the host does not exist", "rolecall doctor", "write it as in eu-west-1"},
		"short":   {"container.timeout", "the endpoint answers too slowly: the SDK waits for a second", "rolecall doctor ecs", "put a warm answer before it: rolecall serve --load container"},
		"tls":     {"container.tls", "the server's certificate is of a CA that the SDK does not trust; botocore and the AWS CLI trust certifi's list only", "rolecall doctor ecs", "use http on loopback, or SSL_CERT_FILE (Go, Ruby), NODE_EXTRA_CA_CERTS (Node), the trust store (Java)"},
	}
}

// causeTable is what symptoms choose their causes from.
type causeTable map[string]Likely

// of are the named ones, most likely first.
func (t causeTable) of(names ...string) (list []Likely) {
	for _, n := range names {
		list = append(list, t[n])
	}
	return list
}
