package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Here is how the machine or container that this runs on is asked, as an SDK in
// a program here would.
type Here struct {
	// Getenv looks up AWS_EC2_METADATA_* and AWS_CONTAINER_*. Needed.
	Getenv func(string) string
	// Timeout of each of its services. Zero: 1 s.
	Timeout time.Duration
}

const (
	metadataIPv4  = "http://169.254.169.254"
	metadataIPv6  = "http://[fd00:ec2::254]"
	containerHost = "http://169.254.170.2"
	mostAnswer    = 64 << 10
)

// metadata is the instance metadata service; nil with a reason where it is not
// to be asked.
func (h Here) metadata() (*metadata, string) {
	if strings.EqualFold(h.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return nil, "AWS_EC2_METADATA_DISABLED is set"
	}
	endpoint := h.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
	if endpoint == "" {
		endpoint = metadataIPv4
		if strings.EqualFold(h.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6") {
			endpoint = metadataIPv6
		}
	}
	return &metadata{strings.TrimSuffix(endpoint, "/"), h.client()}, ""
}

// metadata asks the service as version 2 of it wants: each time with a new
// token, so that what is seen is what a new program would see.
type metadata struct {
	endpoint string
	client   *http.Client
}

func (m *metadata) get(ctx context.Context, path string) (string, error) {
	token, err := m.do(ctx, http.MethodPut, "api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	if err != nil {
		return "", err
	}
	return m.do(ctx, http.MethodGet, "meta-data/"+path, "X-aws-ec2-metadata-token", token)
}

func (m *metadata) do(ctx context.Context, method, path, header, value string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.endpoint+"/latest/"+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set(header, value)
	resp, err := m.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if resp.StatusCode != http.StatusOK {
		return "", statusError(resp.StatusCode)
	}
	return strings.TrimSpace(string(b)), err
}

// statusError is an answer of the metadata service that is none.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

func (h Here) client() *http.Client {
	return &http.Client{Timeout: orDuration(h.Timeout, time.Second), Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// InstanceID is the instance that this runs on, "" elsewhere.
func (h Here) InstanceID(ctx context.Context) string {
	client, _ := h.metadata()
	if client == nil {
		return ""
	}
	id, err := client.get(ctx, "instance-id")
	if err != nil || CheckInstanceID(id) != nil {
		return ""
	}
	return id
}

// InstanceChecks ask the metadata service of this instance for the role.
func (h Here) InstanceChecks(ctx context.Context, n Name) []Check {
	const name = "metadata service here"
	var c checks
	role := n.Name // the metadata service knows no paths
	client, why := h.metadata()
	if client == nil {
		c.bad(checkSkipped, name, "", "%s", why)
		return c
	}
	list, err := client.get(ctx, "iam/security-credentials/")
	if err != nil {
		status := statusOf(err)
		switch {
		case status == http.StatusNotFound:
			c.bad(checkFailed, name, "rolecall role attach "+role+" --instance "+firstNonEmpty(h.InstanceID(ctx), "INSTANCE"), "it knows no role of this instance (404)")
		case status == http.StatusForbidden:
			c.bad(checkFailed, name, "rolecall role attach "+role+" --instance INSTANCE --metadata-tokens required", "it is switched off for this instance (403)")
		case status != 0:
			c.bad(checkFailed, name, "try again; rolecall doctor tells more", "it answered with status %d", status)
		default:
			c.bad(checkFailed, name, "in a container: rolecall role attach "+role+" --instance INSTANCE --metadata-hop-limit 2", "it does not answer from here: %s", unanswered(err))
		}
		return c
	}
	got, _, _ := strings.Cut(list, "\n")
	if got = strings.TrimSpace(got); got != role {
		c.bad(checkFailed, name, "wait a minute after a change; then: rolecall role verify "+role+" --instance "+firstNonEmpty(h.InstanceID(ctx), "INSTANCE"), "it hands out the role %s", got)
		return c
	}
	text, err := client.get(ctx, "iam/security-credentials/"+role)
	var a struct {
		Code, Expiration string
		AccessKeyID      string `json:"AccessKeyId"`
	}
	switch {
	case err != nil:
		c.bad(checkFailed, name, "try again; rolecall doctor tells more", "it names the role, and gives no credentials: status %d", statusOf(err))
	case json.Unmarshal([]byte(text), &a) != nil:
		c.bad(checkFailed, name, "", "its answer is not the JSON of credentials")
	case a.Code == "AssumeRoleUnauthorizedAccess":
		c.bad(checkFailed, name, "rolecall role create "+role+" --for ec2", "EC2 may not assume the role (AssumeRoleUnauthorizedAccess)")
	case a.AccessKeyID == "":
		c.bad(checkFailed, name, "wait a minute after a change", "it names the role, and has no credentials yet (%s)", oneLine(a.Code))
	default:
		c.ok(name, "it hands out %s, until %s", role, oneLine(a.Expiration))
	}
	return c
}

// InTask says whether this runs in an ECS task.
func (h Here) InTask() bool {
	return h.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || h.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" || h.Getenv("ECS_CONTAINER_METADATA_URI_V4") != ""
}

// InThisTask says whether this runs in the task that text names.
func (h Here) InThisTask(ctx context.Context, text string) bool {
	base := h.Getenv("ECS_CONTAINER_METADATA_URI_V4")
	if base == "" {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/task", nil)
	if err != nil {
		return false
	}
	resp, err := h.client().Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var a struct{ TaskARN string }
	_, id := clusterAndTask(text)
	return json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(&a) == nil && lastPart(a.TaskARN) == id
}

// TaskChecks ask the credentials endpoint of this task for the role.
func (h Here) TaskChecks(ctx context.Context, n Name) []Check {
	const name = "credentials here"
	var c checks
	from := h.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := h.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" {
		from = containerHost + path
	}
	u, err := url.Parse(from)
	if from == "" || err != nil || u.Host == "" {
		c.bad(checkFailed, name, "rolecall doctor, which knows what hides it", "this is an ECS task, and AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set in this process")
		return c
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		c.bad(checkFailed, name, "", "the variable is no URL")
		return c
	}
	token := h.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := h.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" { // SDKs read it first
		text, err := os.ReadFile(file)
		if err != nil {
			c.bad(checkFailed, name, "rolecall doctor", "the file of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read")
			return c
		}
		token = strings.TrimSpace(string(text))
	}
	if strings.ContainsAny(token, "\r\n") {
		c.bad(checkFailed, name, "rolecall doctor", "the authorization token has more than one line")
		return c
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := h.client().Do(req)
	if err != nil {
		c.bad(checkFailed, name, "rolecall doctor", "the endpoint %s does not answer: %s", u.Host, unanswered(err))
		return c
	}
	defer resp.Body.Close()
	var a struct {
		RoleArn, Expiration string
		AccessKeyID         string `json:"AccessKeyId"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(&a)
	switch {
	case resp.StatusCode != http.StatusOK || err != nil:
		c.bad(checkFailed, name, "rolecall doctor", "the endpoint %s answered with status %d", u.Host, resp.StatusCode)
	case a.AccessKeyID == "":
		c.bad(checkFailed, name, "rolecall doctor", "the endpoint %s answered without credentials", u.Host)
	case a.RoleArn != "" && nameOfARN(a.RoleArn).Name != n.Name:
		c.bad(checkFailed, name, "is this the task's newest revision?", "the endpoint %s hands out the role %s", u.Host, oneLine(a.RoleArn))
	default:
		c.ok(name, "the endpoint %s hands out %s, until %s", u.Host, firstNonEmpty(oneLine(a.RoleArn), "credentials"), oneLine(a.Expiration))
	}
	return c
}

// statusOf is the HTTP status in an error, 0 where there was no answer.
func statusOf(err error) int {
	var status statusError
	errors.As(err, &status)
	return int(status)
}

func unanswered(err error) string {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Sprintf("%s failed", op.Op)
	}
	return "no connection"
}
