package doctor

import "strings"

// SDK is how one AWS SDK looks for credentials. The values are from the SDKs'
// sources and from measurements; docs/doctor.md shows them as a table.
type SDK struct {
	Name     string   // "Python/CLI"
	Words    []string // what users and programs call it: "python", "aws", "boto3"
	Chain    []Link   // in the order it looks
	Profiles []string // variables that name the profile; the first that is set counts

	// ProfileFirst: a named profile hides the keys in the environment.
	ProfileFirst bool
	// HalfKeys: a key id without a secret (or the reverse) ends the chain.
	HalfKeys bool
	// Missing is what a named profile that is not there does.
	Missing Then
	// StrictFiles: a line in the AWS files that is no setting, and a section or
	// setting that comes twice, ends it before it looks anywhere.
	StrictFiles bool
	// NoRole is what AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN does.
	NoRole Then
	// NoFile is what a web identity token file that cannot be read does.
	NoFile Then

	// EmptyIsSet: RELATIVE_URI counts as set when it is there but empty.
	EmptyIsSet bool
	// TokenFirst: AWS_CONTAINER_AUTHORIZATION_TOKEN goes before the file.
	TokenFirst bool
	// Newline is what a line break in the authorization token does.
	Newline Newline
	// Hosts are those that it takes over http.
	Hosts Hosts
	// AfterContainer: an endpoint that is refused or fails leads on to IMDS.
	AfterContainer bool

	// Disabled says which values of AWS_EC2_METADATA_DISABLED switch IMDS off.
	Disabled Words
	// ModeExact: AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE must be IPv4 or IPv6 in
	// just this spelling.
	ModeExact bool
	// ModeChecked: a wrong mode is an error even where an endpoint is set.
	ModeChecked bool
	// LocalIMDS: over http the IMDS endpoint must be loopback or the usual one.
	LocalIMDS bool
	// NoV1: it never falls back to IMDSv1.
	NoV1 bool
	// Proxied are the kinds of endpoints that it asks through HTTP_PROXY.
	Proxied []Kind
	// PlainNoProxy: no_proxy goes before NO_PROXY, an address stands there as it
	// is or not at all (no network such as 169.254.0.0/16), and loopback is not
	// exempt of itself.
	PlainNoProxy bool
	// Timeout is how long it waits for a container endpoint and for IMDS.
	ContainerTimeout, IMDSTimeout string
}

// Is says whether word names the SDK.
func (s SDK) Is(word string) bool {
	word = strings.ToLower(word)
	if word == strings.ToLower(s.Name) {
		return true
	}
	for _, w := range s.Words {
		if w == word {
			return true
		}
	}
	return false
}

// Kind is a link of a chain.
type Kind string

const (
	KindKeys      Kind = "keys"         // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
	KindIdentity  Kind = "web-identity" // AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN
	KindProfile   Kind = "profile"
	KindContainer Kind = "container"
	KindIMDS      Kind = "imds"
)

// Link is one place where an SDK looks.
type Link struct {
	Kind Kind
	Ways []Way // of a profile, in the order it tries them; others it does not know
}

// Way is how a profile gives credentials.
type Way string

const (
	WayRole     Way = "role"         // role_arn with source_profile or credential_source
	WayIdentity Way = "web-identity" // role_arn with web_identity_token_file
	WaySSO      Way = "sso"
	WayKeys     Way = "keys"
	WayProcess  Way = "process"
	WayLogin    Way = "login" // login_session, of `aws login`
)

// Then is what follows a link that is set and cannot work.
type Then int

const (
	Next  Then = iota // the SDK goes on with the next link
	Stop              // it ends with an error
	Fatal             // it ends with an error before it looks anywhere
)

// Newline is which line breaks in an authorization token an SDK cannot bear.
type Newline int

const (
	AnyNewline Newline = iota // \r or \n anywhere, by itself or by its HTTP client
	Trimmed                   // none: it trims the token
)

// Hosts is what an SDK takes for the host of AWS_CONTAINER_CREDENTIALS_FULL_URI
// over http. 169.254.170.2 and 169.254.170.23 are taken by all; https by all.
type Hosts struct {
	// Loopback: which addresses of loopback it takes.
	Loopback Loopback
	// Names is what it does with a name.
	Names Names
	// V6: it takes [fd00:ec2::23].
	V6 bool
}

// Loopback is a set of addresses.
type Loopback int

const (
	AllLoopback  Loopback = iota // 127.0.0.0/8 and ::1
	FirstBlock                   // 127.0.0.0/24 and ::1
	IPv4Loopback                 // 127.0.0.0/8 only
)

// Names is how names are taken.
type Names int

const (
	Localhost Names = iota // the name localhost only
	Resolved               // a name whose addresses are all allowed
)

// Words is which values of a variable mean yes.
type Words int

const (
	True     Words = iota // "true" in any case
	NotFalse              // anything but "" and "false"
)

func (w Words) yes(value string) bool {
	if w == NotFalse {
		return value != "" && value != "false"
	}
	return strings.EqualFold(value, "true")
}
