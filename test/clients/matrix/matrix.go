// Package matrix says which client reaches rolecall by which way, and makes the
// page docs/clients.md of what a run of the tests saw.
package matrix

// Client is an SDK, or what stands for one.
type Client struct {
	Key  string // as in results
	Name string // for people
	Note string // what to know of it; may be ""
}

// Way is one way to credentials.
type Way struct {
	Key  string
	Name string
	Set  string // what its program is given
}

// The ways in.
const (
	FullURI   = "full-uri"
	Relative  = "relative-uri"
	EKS       = "eks"
	V2        = "imdsv2"
	V1        = "imdsv1"
	V2Address = "imdsv2-address"
	V1Address = "imdsv1-address"
)

// Ways are the columns.
func Ways() []Way {
	return []Way{
		{FullURI, "container, FULL_URI", "`AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:4144/creds`"},
		{Relative, "container, RELATIVE_URI", "`serve --link-local` and `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds`, at 169.254.170.2"},
		{EKS, "EKS Pod Identity", "`serve --link-local --auth token`, `AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials` and `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`"},
		{V2, "IMDSv2, by variable", "`serve --imds` and `AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1338/`, with its slash (the aws CLI of Debian needs it)"},
		{V1, "IMDSv1, by variable", "the same with `--imds-v1`, where requests for a token get 404, as in networks that know version 1 only"},
		{V2Address, "IMDSv2, by address", "`serve --link-local`, nothing set, at 169.254.169.254"},
		{V1Address, "IMDSv1, by address", "`serve --link-local --imds-v1`, nothing set: for clients that ask for no token"},
	}
}

// Clients are the rows.
func Clients() []Client {
	return []Client{
		{"aws-cli-1", "aws CLI v1", ""},
		{"aws-cli-2", "aws CLI v2", "of Debian"},
		{"boto3-old", "boto3, old", "of Debian"},
		{"boto3-new", "boto3, new", ""},
		{"js-v2", "SDK for JavaScript v2", ""},
		{"js-v3", "SDK for JavaScript v3", ""},
		{"go-v1", "SDK for Go v1", ""},
		{"go-v2", "SDK for Go v2", ""},
		{"ruby", "SDK for Ruby", "of Debian"},
		{"php-async-aws", "async-aws for PHP", "of Debian; not AWS's own"},
		{"curl", "curl", "a shell script that follows AWS's instructions, and signs with --aws-sigv4"},
	}
}

const (
	asksForToken = "asks for a token where it can get one: see IMDSv2"
	noVariable   = "knows no `AWS_EC2_METADATA_SERVICE_ENDPOINT`"
	port80       = "asks port 80, whatever the variable says: `serve --imds 127.0.0.1:80` would do"
	noFullURI    = "knows no `AWS_CONTAINER_CREDENTIALS_FULL_URI`"
)

// Cannot is why a client cannot go a way: client and way → reason. A client that
// can all the same fails the test, too.
func Cannot() map[[2]string]string {
	c := map[[2]string]string{
		{"php-async-aws", FullURI}:   noFullURI,
		{"php-async-aws", EKS}:       noFullURI,
		{"php-async-aws", V2}:        noVariable,
		{"php-async-aws", V1}:        noVariable,
		{"php-async-aws", V2Address}: "knows version 1 only",
		{"ruby", FullURI}:            noFullURI + " (newer ones do)",
		{"ruby", EKS}:                noFullURI + " (newer ones do)",
		{"ruby", V2}:                 port80,
		{"ruby", V1}:                 port80,
		{"boto3-old", EKS}:           "takes no 169.254.170.23, and knows no token file (1.34.41 and newer do)",
		{"aws-cli-2", EKS}:           "takes no 169.254.170.23, and knows no token file (2.15 and newer do)",
	}
	for _, client := range Clients() {
		if client.Key != "php-async-aws" && client.Key != "curl" {
			c[[2]string{client.Key, V1Address}] = asksForToken
		}
	}
	return c
}
