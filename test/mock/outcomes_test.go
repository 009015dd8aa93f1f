package mock_test

const (
	good   = "credentials"
	nobody = "Unable to locate credentials"
)

// outcome is what botocore (boto3 and the aws CLI alike) makes of faults.
type outcome struct {
	faults       []string
	imds         string // good, or part of the error; "": the fault is not of this endpoint
	imdsRequests string // token, list, credentials
	ecs          string
	ecsRequests  string
}

func outcomes() []outcome {
	one := func(fault, imds, imdsRequests, ecs, ecsRequests string) outcome {
		return outcome{[]string{fault}, imds, imdsRequests, ecs, ecsRequests}
	}
	status := func(code string) string { return `Received non 200 response \(?` + code }
	const json, late, closed = "Unable to parse JSON", "Read timeout on endpoint URL", "Connection was closed before we received"
	return []outcome{
		{nil, good, "1 1 1", good, "1"},
		one("throttle", nobody, "1 1 0", status("429"), "3"),
		one("throttle count=1", good, "1 1 1", good, "2"),
		one("throttle count=1 path=/latest/meta-data/*", nobody, "1 1 0", "", ""),
		one("throttle=0.1/s", nobody, "1 1 0", good, "1"),
		one("error=500", nobody, "1 1 0", status("500"), "3"),
		one("error=503 path=*/security-credentials/*", nobody, "1 1 0", "", ""),
		one("delay=200ms", good, "1 1 1", good, "1"),
		one("delay=1200ms", nobody, "1 1 0", good, "1"),
		one("hang", nobody, "1 1 0", late, "3"),
		one("hang count=1", good, "1 1 1", good, "2"),
		one("reset", nobody, "1 1 0", closed, "3"),
		one("token=400", nobody, "1 0 0", "", ""),
		one("token=403", good, "1 1 1", "", ""),
		one("token=404", good, "1 1 1", "", ""),
		one("token=405", good, "1 1 1", "", ""),
		one("token=timeout", good, "1 1 1", "", ""),
		one("forget count=1", nobody, "1 1 0", "", ""),
		one("expire=90s", good, "1 1 1", good, "2"),
		one("expired", good, "1 1 1", "the refreshed credentials are still expired", "2"),
		one("norole", nobody, "1 1 0", status("404"), "3"),
		one("not-success", nobody, "1 1 1", "'AccessKeyId'", "1"),
		one("garbage", nobody, "1 1 1", "can't decode byte", "1"),
		one("empty", nobody, "1 1 1", json, "3"),
		one("truncated", nobody, "1 1 1", json, "3"),
		one("v2-only", good, "1 1 1", "", ""),
		one("v1-only", good, "1 1 1", "", ""),
		{[]string{"v2-only", "token=403"}, nobody, "1 1 0", "", ""},
		{[]string{"v2-only", "token=timeout"}, nobody, "1 1 0", "", ""},
		{[]string{"delay=300ms", "expire=20m", "throttle count=1"}, good, "1 1 1", good, "2"},
	}
}
