// Gov1 asks STS who it is with version 1 of the AWS SDK for Go, once for every
// line of its input, with one client.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer := map[string]string{}
		if arn, err := ask(); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["arn"] = arn
		}
		_ = json.NewEncoder(os.Stdout).Encode(answer)
	}
}

func ask() (string, error) {
	s, err := session.NewSession(&aws.Config{CredentialsChainVerboseErrors: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	// It knows no AWS_ENDPOINT_URL_STS.
	me, err := sts.New(s, &aws.Config{Endpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_STS"))}).GetCallerIdentity(nil)
	if err != nil {
		return "", err
	}
	return aws.StringValue(me.Arn), nil
}
