package source

import (
	"encoding/json"
	"strings"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

// parseIMDSRole is the name in the first line of the list.
func parseIMDSRole(body []byte) (string, bool) {
	role, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	role = strings.TrimSpace(role)
	return role, validRoleName(role) && !strings.Contains(role, "/")
}

// instanceAnswer is the document of the metadata service (EC2 user guide,
// "Retrieve security credentials from instance metadata").
type instanceAnswer struct {
	Code            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
	AccountID       string `json:"AccountId"`
}

func (i *instance) parse(text []byte) (creds.Credentials, error) {
	name := "the instance metadata service at " + i.set.host
	var a instanceAnswer
	if json.Unmarshal(text, &a) != nil {
		return creds.Credentials{}, unavailable(name+" answered with something that is not the JSON of credentials", hintOther)
	}
	switch {
	case a.Code == "AssumeRoleUnauthorizedAccess":
		return creds.Credentials{}, &usererr.Error{Code: usererr.AccessDenied, Msg: "EC2 may not assume the instance's role (AssumeRoleUnauthorizedAccess)", Hint: "let ec2.amazonaws.com assume the role in its trust policy"}
	case a.Code != "" && !strings.EqualFold(a.Code, "Success"):
		return creds.Credentials{}, unavailable(name+" has no credentials: "+safeCode(a.Code), "look at the role and the instance profile: `aws iam get-instance-profile --instance-profile-name NAME`")
	case a.AccessKeyID == "" || a.SecretAccessKey == "" || a.Token == "" || a.Expiration.IsZero():
		return creds.Credentials{}, unavailable(name+" answered without keys", hintOther)
	}
	return creds.Credentials{
		AccessKeyID:     a.AccessKeyID,
		SecretAccessKey: creds.NewSecret(a.SecretAccessKey),
		SessionToken:    creds.NewSecret(a.Token),
		Expires:         a.Expiration.UTC(),
		AccountID:       a.AccountID,
	}, nil
}
