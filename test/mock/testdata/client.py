# For every line of its input it asks STS who it is with a new session, as a
# program that has just started does.
import json
import os
import sys

import boto3
import botocore.session

for _ in sys.stdin:
    try:
        session = boto3.Session(botocore_session=botocore.session.Session())
        sts = session.client("sts", endpoint_url=os.environ["STS"])
        answer = {"arn": sts.get_caller_identity()["Arn"]}
    except Exception as e:
        answer = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(answer), flush=True)
