# Asks STS who it is, once for every line of its input, with one client.
import json
import os
import sys

import boto3

sts = None
for _ in sys.stdin:
    try:
        if sts is None:
            # boto3 before 1.28 knows no AWS_ENDPOINT_URL_STS
            sts = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"])
        answer = {"arn": sts.get_caller_identity()["Arn"]}
    except Exception as e:
        answer = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(answer), flush=True)
