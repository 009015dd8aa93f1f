package fakeaws

import "encoding/xml"

// awsTime is how AWS writes times: UTC, whole seconds.
const awsTime = "2006-01-02T15:04:05Z"

// The answers, as they go over the wire.
type (
	stsCredentials struct {
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string
	}
	assumedUser struct {
		AssumedRoleId, Arn string
	}
	assumeRoleResult struct {
		Credentials     stsCredentials
		AssumedRoleUser assumedUser
	}
	assumeRoleResponse struct {
		XMLName   xml.Name         `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
		Result    assumeRoleResult `xml:"AssumeRoleResult"`
		RequestID string           `xml:"ResponseMetadata>RequestId"`
	}
	webIdentityResult struct {
		Credentials                                     stsCredentials
		AssumedRoleUser                                 assumedUser
		Audience, Provider, SubjectFromWebIdentityToken string
	}
	webIdentityResponse struct {
		XMLName   xml.Name          `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		Result    webIdentityResult `xml:"AssumeRoleWithWebIdentityResult"`
		RequestID string            `xml:"ResponseMetadata>RequestId"`
	}
	sessionTokenResponse struct {
		XMLName     xml.Name       `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetSessionTokenResponse"`
		Credentials stsCredentials `xml:"GetSessionTokenResult>Credentials"`
		RequestID   string         `xml:"ResponseMetadata>RequestId"`
	}
	callerIdentityResponse struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
		Arn       string   `xml:"GetCallerIdentityResult>Arn"`
		UserID    string   `xml:"GetCallerIdentityResult>UserId"`
		Account   string   `xml:"GetCallerIdentityResult>Account"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}
)

func wireCredentials(k Issued) stsCredentials {
	return stsCredentials{k.AccessKeyID, k.SecretAccessKey, k.SessionToken, k.Expires.UTC().Format(awsTime)}
}

func wireUser(k Issued) assumedUser { return assumedUser{k.UserID, k.CallerARN} }
