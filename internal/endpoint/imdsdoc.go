package endpoint

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"rolecall/internal/creds"
)

// RoleDocument is one set of credentials as the metadata service tells it,
// encoded once, when the set arrives. It never changes.
type RoleDocument struct {
	Name    string    // of the role, one segment of a path
	Expires time.Time // as told to clients

	name  body
	long  body // while there is life enough
	short body // see ShortLife
	info  body // of iam/info; empty: the account is not known
}

// body is an answer and its Content-Length as a header's value.
type body struct {
	bytes  []byte
	length []string
}

func newBody(b []byte) body { return body{b, []string{strconv.Itoa(len(b))}} }

// ShortLife is the remaining life below which Expiration is told with a fraction
// of a second. botocore takes what a metadata service answers with at most 25
// minutes left for a sign of a broken service and goes on to use the set for 17
// to 25 minutes, ended or not; a time with a fraction it cannot read for that,
// and then it keeps to the truth. All other SDKs take both.
const ShortLife = 25*time.Minute + 30*time.Second

type wireRole struct {
	Code            string
	LastUpdated     string
	Type            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      string
}

// NewRoleDocument encodes c under a role's name, with the expiry that is told
// to clients; now is when it arrived. See RoleNameFor for the name.
func NewRoleDocument(name string, c creds.Credentials, expires, now time.Time) *RoleDocument {
	w := wireRole{
		Code: "Success", LastUpdated: wireTime(now), Type: "AWS-HMAC",
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), Token: c.SessionToken.Reveal(),
		Expiration: wireTime(expires),
	}
	d := &RoleDocument{Name: name, Expires: expires, name: newBody([]byte(name)), long: newBody(encode(w))}
	w.Expiration = expires.UTC().Format("2006-01-02T15:04:05.000Z")
	d.short = newBody(encode(w))
	if c.AccountID != "" {
		sum := sha256.Sum256([]byte(c.AccountID + "/" + name))
		d.info = newBody(encode(struct{ Code, LastUpdated, InstanceProfileArn, InstanceProfileId string }{
			"Success", w.LastUpdated, "arn:" + partitionOf(c.RoleARN, "") + ":iam::" + c.AccountID + ":instance-profile/" + name,
			"AIPA" + base32.StdEncoding.EncodeToString(sum[:])[:17]}))
	}
	return d
}

// at is the document as it is to be told at now.
func (d *RoleDocument) at(now time.Time) body {
	if d.Expires.Sub(now) < ShortLife {
		return d.short
	}
	return d.long
}

// roleFailure is the document of a role that cannot be assumed, in which SDKs
// look for the reason: no key fields at all.
func roleFailure(code, msg string, now time.Time) body {
	return newBody(encode(struct{ Code, Message, LastUpdated string }{code, msg, wireTime(now)}))
}

// RoleNameFor is a name that clients can ask for by path: the first candidate
// that is one as IAM allows them, or "rolecall".
func RoleNameFor(candidates ...string) string {
	for _, name := range candidates {
		if len(name) > 0 && len(name) <= 64 && strings.Trim(name, "."+nameBytes) == "" && strings.Trim(name, ".") != "" {
			return name
		}
	}
	return "rolecall"
}

// nameBytes are what a role's name may hold beside the dot.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,@_-"

// Instance is what the metadata tells beside credentials.
type Instance struct {
	RoleName  string    // listed while there are no credentials to tell of; see RoleNameFor
	RoleARN   string    // "" when not known
	AccountID string    // "" when not known
	Region    string    // "" when not known
	Host      string    // whatever tells this machine from others; only its hash is told
	Started   time.Time // told as the time the instance was started
}

// id is made up, but stays the same on one machine and differs on another.
func (i Instance) id() string {
	sum := sha256.Sum256([]byte("rolecall instance " + i.Host))
	return "i-0" + hex.EncodeToString(sum[:])[:16]
}

func partitionOf(arn, region string) string {
	if part := strings.SplitN(arn, ":", 3); len(part) == 3 && strings.HasPrefix(part[1], "aws") {
		return part[1]
	}
	for _, p := range []struct{ region, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"}, {"eu-isoe-", "aws-iso-e"},
		{"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.region) {
			return p.partition
		}
	}
	return "aws"
}

func domainOf(partition string) string {
	switch partition {
	case "aws-cn":
		return "amazonaws.com.cn"
	case "aws-iso":
		return "c2s.ic.gov"
	case "aws-iso-b":
		return "sc2s.sgov.gov"
	case "aws-iso-e":
		return "cloud.adc-e.uk"
	case "aws-iso-f":
		return "csp.hci.ic.gov"
	case "aws-eusc":
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

// item is the text at a path of metadataTarget's items; false: not known.
func (i Instance) item(path string) (text string, ok bool) {
	partition := partitionOf(i.RoleARN, i.Region)
	switch path {
	case versionList:
		return strings.Join(versions, "\n"), true
	case "meta-data/instance-id":
		return i.id(), true
	case "meta-data/placement/region":
		return i.Region, i.Region != ""
	case "meta-data/placement/availability-zone":
		return i.Region + "a", i.Region != ""
	case "meta-data/services/domain":
		return domainOf(partition), true
	case "meta-data/services/partition":
		return partition, true
	case "dynamic/instance-identity/document":
		return string(i.document()), i.Region != ""
	}
	text, ok = directories[strings.TrimSuffix(path, "/")]
	return text, ok
}

// document is the instance identity document. What there is none of on this
// machine is null, as EC2 has it for what an instance has none of.
func (i Instance) document() []byte {
	var account *string
	if i.AccountID != "" {
		account = &i.AccountID
	}
	return encode(struct {
		AccountID        *string `json:"accountId"`
		Architecture     *string `json:"architecture"`
		AvailabilityZone string  `json:"availabilityZone"`
		ImageID          *string `json:"imageId"`
		InstanceID       string  `json:"instanceId"`
		InstanceType     *string `json:"instanceType"`
		PendingTime      string  `json:"pendingTime"`
		PrivateIP        *string `json:"privateIp"`
		Region           string  `json:"region"`
		Version          string  `json:"version"`
	}{AccountID: account, AvailabilityZone: i.Region + "a", InstanceID: i.id(), PendingTime: wireTime(i.Started), Region: i.Region, Version: "2017-09-30"})
}
