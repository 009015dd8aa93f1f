// Package endpoint speaks the wire protocols that AWS SDKs know. Guard decides
// whether a request may have an answer at all; ECS is the container-credentials
// endpoint with the REST API of the `aws-sso ecs` server beside it; IMDS is the
// instance metadata service; Server holds the connections. It asks small
// interfaces for credentials and knows nothing of where they come from.
package endpoint

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"rolecall/internal/creds"
)

// Document is one set of credentials as it leaves on the wire, encoded once,
// when the set arrives. It never changes.
type Document struct {
	Expires time.Time // as told to clients
	body    []byte
	length  []string // Content-Length, as a header's value
}

// wireCredentials is the container-credentials answer: the four fields that
// every SDK needs, and those some of them use. Expiration has whole seconds and
// a literal Z, which is all that JavaScript and Rust accept.
type wireCredentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      string
	RoleArn         string `json:",omitempty"`
	AccountID       string `json:"AccountId,omitempty"`
}

// NewDocument encodes c with the expiry that is told to clients.
func NewDocument(c creds.Credentials, expires time.Time) *Document {
	arn := c.RoleARN
	if arn == "" && c.AccountID != "" && c.RoleName != "" {
		arn = "arn:aws:iam::" + c.AccountID + ":role/" + c.RoleName // as aws-sso does
	}
	body := encode(wireCredentials{
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(),
		Token:           c.SessionToken.Reveal(),
		Expiration:      wireTime(expires),
		RoleArn:         arn,
		AccountID:       c.AccountID,
	})
	return &Document{Expires: expires, body: body, length: []string{strconv.Itoa(len(body))}}
}

func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// encode is JSON without HTML escapes and without a final newline. What it
// encodes are this package's own structs of strings and numbers: it cannot fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
