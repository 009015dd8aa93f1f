package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"rolecall/internal/fakeaws"
)

func TestPause(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ elapsed, want time.Duration }{
		{0, 250 * time.Millisecond}, {time.Second, 250 * time.Millisecond}, {4 * time.Second, time.Second},
		{40 * time.Second, 10 * time.Second}, {time.Hour, 10 * time.Second},
	} {
		if got := pause(tt.elapsed, 250*time.Millisecond); got != tt.want {
			t.Errorf("after %s a pause of %s, want %s", tt.elapsed, got, tt.want)
		}
	}
}

// A wait ends at its limit and not before, asks rarely, and ends at once with
// its context.
func TestUntil(t *testing.T) {
	t.Parallel()
	quiet := func(string, time.Duration) {}
	synctest.Test(t, func(t *testing.T) {
		began, looks := time.Now(), 0
		err := until(t.Context(), 2*time.Minute, 250*time.Millisecond, func(context.Context) (bool, string, error) { looks++; return false, "pending", nil }, quiet)
		if !errors.Is(err, errNotYet) || !strings.Contains(err.Error(), "pending") || time.Since(began) != 2*time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if looks < 15 || looks > 40 {
			t.Errorf("%d looks in two minutes", looks)
		}
	})
	synctest.Test(t, func(t *testing.T) { // EC2 hears of a profile just before the end
		began := time.Now()
		err := until(t.Context(), 2*time.Minute, 250*time.Millisecond, func(context.Context) (bool, string, error) {
			return time.Since(began) > 119*time.Second, "", nil
		}, quiet)
		if err != nil {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(30*time.Second, cancel)
		began := time.Now()
		err := until(ctx, time.Hour, time.Second, func(context.Context) (bool, string, error) { return false, "", nil }, quiet)
		if !errors.Is(err, context.Canceled) || time.Since(began) != 30*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// Each service's trust policy is one that our own check takes for it, and for
// no other service. EC2 and Lambda carry no condition.
func TestTrustPolicies(t *testing.T) {
	t.Parallel()
	const bound = `"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}`
	tests := []struct {
		service   Service
		partition string
		want      string
	}{
		{EC2, "aws", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
		{EC2, "aws-us-gov", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
		{EC2, "aws-cn", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com.cn"},"Action":"sts:AssumeRole"}]}`},
		{ECSTask, "aws-cn", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole",` + bound + `}]}`},
		{ECSExecution, "aws", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole",` + bound + `}]}`},
		{Lambda, "aws", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
		{EKSPod, "aws", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"],` + bound + `}]}`},
	}
	for _, tt := range tests {
		a := &Account{ID: "123456789012", Partition: tt.partition}
		got, err := a.trustPolicy(tt.service, nil)
		if err != nil || got != tt.want {
			t.Errorf("%s: %s, %v", tt.service, got, err)
		}
		if _, err := ParsePolicy("x", []byte(got), TrustPolicy); err != nil {
			t.Error(err)
		}
		for _, other := range Services() {
			same := trustPrincipal(other) == trustPrincipal(tt.service)
			if why := a.refusal(got, other); (why == "") != same {
				t.Errorf("a role for %s used by %s: %q", tt.service, other, why)
			}
		}
		if _, err := a.trustPolicy(tt.service, aws.Bool(true)); (err != nil) != (tt.service == EC2) {
			t.Errorf("%s with the condition: %v", tt.service, err)
		}
	}
	if _, err := (&Account{}).trustPolicy("s3", nil); err == nil {
		t.Error("a role for s3")
	}
}

func trustPrincipal(s Service) string { t, _ := trustOf(s, "aws"); return t.principal }

func TestRefusal(t *testing.T) {
	t.Parallel()
	a := &Account{ID: "123456789012", Partition: "aws"}
	allow := func(more string) string {
		return `{"Statement": {"Effect": "Allow", "Principal": {"Service": ["x", "ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]}` + more + `}}`
	}
	tests := []struct {
		text    string
		service Service
		want    string // "" for allowed
	}{
		{allow(`, "Action": "sts:*"`), EC2, ""},
		{allow(`, "Action": ["STS:assumerole"]`), ECSTask, ""},
		{allow(`, "Action": "sts:TagSession"`), EC2, "does not let ec2.amazonaws.com"},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}`), EC2, "asks ec2.amazonaws.com for aws:SourceAccount, which it does not tell"},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:sourceaccount": ["1", "123456789012"]}}`), ECSTask, ""},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}`), ECSTask, "for another account only (210987654321)"},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:ecs:*:123456789012:*"}}`), ECSTask, ""},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:ecs:*:210987654321:*"}}`), ECSTask, "another account only"},
		{allow(`, "Action": "sts:AssumeRole", "Condition": {"StringEqualsIfExists": {"aws:SourceAccount": "1"}}`), EC2, ""},
		{allow(`, "Action": "sts:AssumeRole"`), EKSPod, "does not let pods.eks.amazonaws.com"},
		{`{"Statement": {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"}}`, EKSPod, "does not allow pods.eks.amazonaws.com sts:TagSession"},
		{`{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}, {"Effect": "Deny", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "*"}]}`, EC2, "denies ec2.amazonaws.com"},
		{`{"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "sts:AssumeRole"}}`, EC2, "does not let"},
		{`no JSON`, EC2, "cannot be read"},
	}
	for _, tt := range tests {
		if got := a.refusal(tt.text, tt.service); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s for %s: %q, want …%s…", tt.text, tt.service, got, tt.want)
		}
	}
}

// Every field that a task definition has and that can be registered is copied:
// a new one of the SDK makes this test fail.
func TestCopyOfTaskDefinition(t *testing.T) {
	t.Parallel()
	var d types.TaskDefinition
	fill(reflect.ValueOf(&d).Elem(), 0)
	in := reflect.ValueOf(copyOf(&d, []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}, {Key: aws.String("aws:x")}})).Elem()
	from := reflect.ValueOf(d)
	for i := range in.NumField() {
		f := in.Type().Field(i)
		if !f.IsExported() || f.Name == "InferenceAccelerators" { // AWS has withdrawn them
			continue
		}
		if in.Field(i).IsZero() {
			t.Errorf("%s is not copied", f.Name)
		}
		if have := from.FieldByName(f.Name); have.IsValid() && !reflect.DeepEqual(have.Interface(), in.Field(i).Interface()) {
			t.Errorf("%s is copied as %v", f.Name, in.Field(i))
		}
	}
	if tags := in.Addr().Interface().(*ecs.RegisterTaskDefinitionInput).Tags; len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
}

// fill sets every exported field to something.
func fill(v reflect.Value, depth int) {
	if depth > 12 || !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	}
}

func TestPolicyText(t *testing.T) {
	t.Parallel()
	var all permissions
	all.add(may("iam:GetRole", "r"), may("iam:CreateRole", "r"), may("iam:GetRole", "r"), may("ec2:DescribeInstances", "*"),
		may("ec2:Associate", "i-1"), may("ec2:Associate", "i-2"), (&Account{Partition: "aws-cn"}).mayPass("r", EC2))
	var got struct {
		Statement []struct{ Action, Resource []string }
	}
	if err := json.Unmarshal(Policy(all.list), &got); err != nil {
		t.Fatal(err)
	}
	want := "[{[iam:CreateRole iam:GetRole] [r]} {[ec2:DescribeInstances] [*]} {[ec2:Associate] [i-1 i-2]} {[iam:PassRole] [r]}]"
	if text := fmt.Sprint(got.Statement); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if !strings.Contains(string(Policy(all.list)), `"ec2.amazonaws.com.cn"`) {
		t.Error("no China")
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{PageSize: 1})
	r.run(create(Wanted{Name: name(t, "team/app"), For: ECSTask, Policies: []string{"ReadOnlyAccess", "AmazonS3ReadOnlyAccess", "AmazonSQSFullAccess"},
		Inline: map[string]string{"a": `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`, "b": `{"Statement":{"Effect":"Allow","Action":"a b+c:*","Resource":"*"}}`}}))
	for _, family := range []string{"web", "api", "job"} {
		if _, err := r.aws.AddTaskDefinition(strings.Replace(webDefinition, `"family": "web"`, `"family": "`+family+`"`, 1)); err != nil {
			t.Fatal(err)
		}
	}
	r.run(taskRole(TaskWanted{Role: name(t, "app"), TaskDefinition: "api"}))
	r.aws.UseRole("app", "2026-11-20T10:00:00Z")
	s, err := r.open().Show(t.Context(), name(t, "app"))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Attached) != 3 || len(s.Inline) != 2 || !strings.Contains(s.Inline["b"], "a b+c") || fmt.Sprint(s.Tasks) != "[{api:2 task role }]" ||
		fmt.Sprint(s.ServiceNames()) != "[ecs-task]" || s.Used() != "2026-11-20 10:00 UTC in eu-west-1" {
		t.Errorf("%+v", s)
	}
	id, _ := r.aws.BaseUser()
	if err := r.aws.Permit(id, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetRole"],"Resource":["*"]}]}`); err != nil {
		t.Fatal(err)
	}
	if s, err = r.open().Show(t.Context(), name(t, "app")); err != nil || len(s.Unknown) != 3 {
		t.Errorf("%v, %v", s, err)
	}
}
