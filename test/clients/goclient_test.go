package clients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// asGoClient in its environment makes the test program a client of aws-sdk-go-v2.
const asGoClient = "CLIENTS_TEST_AS_GO_CLIENT"

// goClient asks STS who it is, once for every line of in, with one client.
func goClient(in io.Reader, out io.Writer) {
	var client *sts.Client
	ask := func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if client == nil {
			c, err := config.LoadDefaultConfig(ctx)
			if err != nil {
				return "", err
			}
			client = sts.NewFromConfig(c)
		}
		me, err := client.GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", err
		}
		return *me.Arn, nil
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var a answer
		arn, err := ask()
		if a.ARN = arn; err != nil {
			a.Error = err.Error()
		}
		_ = json.NewEncoder(out).Encode(a) // when nobody reads any more, the next line does not come either
	}
}
