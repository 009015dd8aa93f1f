package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// asGoClient in its environment makes the test program a client of
// aws-sdk-go-v2, which prints who it is.
const asGoClient = "FAULTS_TEST_AS_GO_CLIENT"

func goClient(out *os.File) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var arn string
	c, err := config.LoadDefaultConfig(ctx)
	if err == nil {
		var me *sts.GetCallerIdentityOutput
		if me, err = sts.NewFromConfig(c).GetCallerIdentity(ctx, nil); err == nil {
			arn = *me.Arn
		}
	}
	_ = json.NewEncoder(out).Encode(map[string]string{"arn": arn, "error": fmt.Sprint(err)})
}
