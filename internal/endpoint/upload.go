package endpoint

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"rolecall/internal/creds"
)

const maxUpload = 64 << 10

// Upload is what a client put into a slot.
type Upload struct {
	ProfileName string
	Credentials creds.Credentials
}

// wireUpload is the body of aws-sso's PUT. Its documentation shows numbers as
// strings and its client sends numbers; both are taken.
type wireUpload struct {
	ProfileName string
	Creds       *struct {
		AccountID       number `json:"accountId"`
		RoleName        string `json:"roleName"`
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
		SessionToken    string `json:"sessionToken"`
		Expiration      number `json:"expiration"` // ms since the epoch
	}
}

// number is a whole number, written with quotes or without.
type number string

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" {
		s = ""
	}
	if strings.Trim(s, "0123456789") != "" || len(s) > 19 {
		return errors.New("not a whole number")
	}
	*n = number(s)
	return nil
}

// readUpload reads a PUT's body. Errors never repeat what was sent.
func readUpload(w http.ResponseWriter, r *http.Request, now time.Time) (Upload, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			refused := refuse(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 64 KiB")
			refused.Close = true
			return Upload{}, refused
		}
		return Upload{}, BadRequest("the body ended early")
	}
	return parseUpload(body, now)
}

func parseUpload(body []byte, now time.Time) (Upload, error) {
	const shape = `{"ProfileName": …, "Creds": {"accountId", "roleName", "accessKeyId", "secretAccessKey", "sessionToken", "expiration"}}`
	var u wireUpload
	if len(body) == 0 {
		return Upload{}, BadRequest("the body is empty; it must be " + shape)
	}
	if err := json.Unmarshal(body, &u); err != nil {
		return Upload{}, BadRequest("the body is not the JSON it must be: " + shape)
	}
	if u.Creds == nil {
		return Upload{}, BadRequest("the body has no Creds; it must be " + shape)
	}
	ms, err := strconv.ParseInt(string(u.Creds.Expiration), 10, 64)
	if err != nil || ms == 0 {
		return Upload{}, BadRequest("Creds.expiration is missing; it is in milliseconds since 1970")
	}
	c := creds.Credentials{
		AccessKeyID:     u.Creds.AccessKeyID,
		SecretAccessKey: creds.NewSecret(u.Creds.SecretAccessKey),
		SessionToken:    creds.NewSecret(u.Creds.SessionToken),
		Expires:         time.UnixMilli(ms).UTC(),
		AccountID:       padAccount(string(u.Creds.AccountID)),
		RoleName:        u.Creds.RoleName,
		Source:          "upload",
	}
	if err := c.Check(); err != nil {
		return Upload{}, BadRequest("the uploaded credentials are unusable: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if c.Remaining(now) <= 0 {
		return Upload{}, BadRequest("the uploaded credentials have expired; Creds.expiration is in milliseconds since 1970")
	}
	for _, name := range []string{u.ProfileName, u.Creds.RoleName} {
		if len(name) > 256 || strings.ContainsFunc(name, unseen) {
			return Upload{}, BadRequest("ProfileName or roleName is too long or has invisible characters")
		}
	}
	return Upload{u.ProfileName, c}, nil
}

// unseen are control and format characters and line separators: they could make
// one line of a log or a list look like another.
func unseen(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// padAccount gives a number back the leading zeros that account ids have.
func padAccount(s string) string {
	if s == "" || s == "0" || len(s) > 12 {
		return ""
	}
	return strings.Repeat("0", 12-len(s)) + s
}
