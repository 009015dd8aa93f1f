# Takes credentials as a shell script does, by the variables that SDKs go by,
# and asks STS who it is.
set -eu
get() { curl -sSf -m 5 "$@"; }
field() { sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p'; }
metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
metadata=${metadata%/}/latest

if [ -n "${AWS_CONTAINER_CREDENTIALS_RELATIVE_URI:-}" ]; then
	document=$(get "http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
elif [ -n "${AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE:-}" ]; then
	document=$(get -H "Authorization: $(cat "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")" "$AWS_CONTAINER_CREDENTIALS_FULL_URI")
elif [ -n "${AWS_CONTAINER_CREDENTIALS_FULL_URI:-}" ]; then
	document=$(get "$AWS_CONTAINER_CREDENTIALS_FULL_URI")
elif [ -n "${METADATA_V1:-}" ]; then
	role=$(get "$metadata/meta-data/iam/security-credentials/")
	document=$(get "$metadata/meta-data/iam/security-credentials/$role")
else
	token=$(get -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$metadata/api/token")
	role=$(get -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/")
	document=$(get -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/iam/security-credentials/$role")
fi

# The secret is read from stdin, for the arguments of a program are for all to see.
printf 'user = "%s:%s"\nheader = "X-Amz-Security-Token: %s"\n' "$(echo "$document" | field AccessKeyId)" \
	"$(echo "$document" | field SecretAccessKey)" "$(echo "$document" | field Token)" |
	get --config - --aws-sigv4 "aws:amz:$AWS_REGION:sts" -d 'Action=GetCallerIdentity&Version=2011-06-15' "$AWS_ENDPOINT_URL_STS/" |
	sed -n 's/.*<Arn>\(.*\)<\/Arn>.*/{"arn": "\1"}/p'
