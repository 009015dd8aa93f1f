package roles

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"rolecall/internal/fakeaws"
)

// A run that was broken off and gone on with is one run to --undo, which itself
// goes on where it was broken off.
func TestUndoOfBrokenOffRuns(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{Settling: 1})
	r.aws.Script(fakeaws.Fault{Match: "ec2:AssociateIamInstanceProfile", Status: 403, Code: "UnauthorizedOperation"})
	r.refused(attached(r), "step 4 of 6")
	r.aws.ClearFaults()

	a, p := r.plan(attached(r))
	last, err := a.Last(r.dir, "attach", name(t, "app"))
	if err != nil || !last.Unfinished("x") {
		t.Fatalf("%+v, %v", last, err)
	}
	j := a.Begin(r.dir, p, "x")
	j.Continue(last)
	if _, err := a.Run(t.Context(), p, j); err != nil {
		t.Fatal(err)
	}
	if j, err = a.Last(r.dir, "attach", name(t, "app")); err != nil || j.Unfinished("x") || len(j.rec.Undo) != 4 {
		t.Fatalf("%+v, %v", j, err)
	}
	back, err := a.PlanUndo(j)
	if err != nil {
		t.Fatal(err)
	}
	r.aws.Script(fakeaws.Fault{Match: "iam:RemoveRoleFromInstanceProfile", Status: 403, Code: "AccessDenied"})
	_, err = a.Run(t.Context(), back, j)
	var step *StepError
	if !errors.As(err, &step) || step.Step != 3 || step.Hint() != "--dry-run prints the policy that the caller needs\nhint: run it again to go on" {
		t.Fatalf("%v, %+v", err, step)
	}
	r.aws.ClearFaults()
	before := len(r.aws.Changes())
	r.undo(p)
	for i, want := range []string{"iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"} {
		if got := r.aws.Changes()[before:]; len(got) != 2 || got[i].Op != want {
			t.Fatalf("the rest of the undoing was %v", got)
		}
	}
	if j, err := a.Last(r.dir, "attach", name(t, "app")); j != nil || err != nil {
		t.Errorf("left: %+v, %v", j, err)
	}
}

// Broken off while it only waited: nothing is left to do, and the record is at
// its end all the same. Else a run of next month would "go on" with it.
func TestNothingLeftToGoOnWith(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{})
	do := create(Wanted{Name: name(t, "app"), For: EC2})
	a, p := r.plan(do)
	ctx, cancel := context.WithCancel(t.Context())
	a.cfg.Progress = func(e Event) {
		if e.Step == 1 && e.State == "done" {
			cancel()
		}
	}
	if _, err := a.Run(ctx, p, a.Begin(r.dir, p, "x")); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	a, p = r.plan(do)
	last, err := a.Last(r.dir, "create", p.Role)
	if err != nil || !last.Unfinished("x") || len(p.Steps) != 0 {
		t.Fatalf("%+v, %v, %q", last, err, actions(p))
	}
	j := a.Begin(r.dir, p, "x")
	j.Continue(last)
	if _, err := a.Run(t.Context(), p, j); err != nil {
		t.Fatal(err)
	}
	if last, err = a.Last(r.dir, "create", p.Role); err != nil || last.Unfinished("x") || len(last.rec.Undo) != 1 {
		t.Errorf("%+v, %v", last, err)
	}
}

// Ctrl-C while AWS throttles a call: no further attempt is made.
func TestInterruptedWhileThrottled(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{})
	r.cfg.Patience, r.cfg.FirstPause = time.Hour, 50*time.Millisecond
	r.aws.Script(fakeaws.Fault{Match: "iam:CreateInstanceProfile", Status: 503, Code: "Throttling"})
	a, p := r.plan(attached(r))
	ctx, cancel := context.WithCancel(t.Context())
	a.cfg.Progress = func(e Event) {
		if e.State == "wait" && e.Detail == "AWS asks for fewer requests" {
			cancel()
		}
	}
	_, err := a.Run(ctx, p, a.Begin(r.dir, p, "x"))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "iam:CreateInstanceProfile was interrupted while AWS answered: AWS asks for fewer requests; nothing was changed") {
		t.Errorf("error %v", err)
	}
	if n := r.aws.Calls("iam:CreateInstanceProfile"); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// EC2 replaces the profile of running instances only: of a stopped one the old
// association ends first. Taken back, it has the old one again.
func TestStoppedInstanceWithAnotherProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{Settling: 1})
	withRole("app", EC2)(r)
	r.aws.AddInstance(fakeaws.Instance{ID: idA, State: "stopped", Profile: "old"})
	_, p := r.plan(attach(InstanceWanted{Role: name(t, "app"), Instances: Selection{IDs: []string{idA}}}))
	if q := p.Questions(); len(q) != 1 || !strings.Contains(q[0], "has the instance profile old: replace it by app?") {
		t.Errorf("questions %q", q)
	}
	p = r.run(attach(InstanceWanted{Role: name(t, "app"), Instances: Selection{IDs: []string{idA}}}))
	r.wantActions(p, "iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile", "wait", "ec2:DisassociateIamInstanceProfile", "wait", "ec2:AssociateIamInstanceProfile", "wait")
	if got := r.instance(idA).profileARN; !strings.HasSuffix(got, "/app") {
		t.Errorf("it has %s", got)
	}
	r.undo(p)
	if got := r.instance(idA).profileARN; !strings.HasSuffix(got, "/old") {
		t.Errorf("it has %s again", got)
	}
}

// What AWS says to a profile that it knows not well enough yet, in its two ways.
func TestProfileNotKnownYet(t *testing.T) {
	t.Parallel()
	for _, f := range []fakeaws.Fault{
		{Code: "IncorrectState", Message: "ResultDetail: { Code=InstanceIdentityProfileNotFound, Message=InstanceIdentityProfile not found for the key: 123456789012/app }"},
		{Code: "InvalidParameterValue", Message: `IAM Instance Profile "arn:aws:iam::123456789012:instance-profile/app" has no associated IAM Roles`},
	} {
		r := withInstance(t, fakeaws.Config{})
		f.Match, f.Status, f.Times = "ec2:AssociateIamInstanceProfile", 400, 3
		r.aws.Script(f)
		r.run(attached(r))
	}
}

// A revision that is named is copied once, however often the command runs.
func TestNamedRevisionIsCopiedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{})
	withRole("app", ECSTask)(r)
	arn, err := r.aws.AddTaskDefinition(webDefinition)
	if err != nil {
		t.Fatal(err)
	}
	r.aws.AddService("prod", "web", arn, false)
	r.run(taskRole(TaskWanted{Role: name(t, "app"), TaskDefinition: "web:1"}))
	p := r.run(taskRole(TaskWanted{Role: name(t, "app"), TaskDefinition: "web:1", Services: []ServiceName{{"prod", "web"}}}))
	r.wantActions(p, "ecs:UpdateService", "wait")
	if _, p = r.plan(taskRole(TaskWanted{Role: name(t, "app"), TaskDefinition: arn, Services: []ServiceName{{"prod", "web"}}})); len(p.Steps) != 0 {
		t.Errorf("again: %q", actions(p))
	}
	if _, err := r.aws.AddTaskDefinition(strings.Replace(webDefinition, "php:8", "php:9", 1)); err != nil {
		t.Fatal(err)
	}
	_, p = r.plan(taskRole(TaskWanted{Role: name(t, "app"), TaskDefinition: "web:1"}))
	r.wantActions(p, "ecs:RegisterTaskDefinition")
}

// A rollout that ECS takes back is told at once, whether the failed deployment
// still shows or not.
func TestRolledBack(t *testing.T) {
	t.Parallel()
	ours := `{"status": "%s", "taskDefinition": "web:2", "rolloutState": "%s", "rolloutStateReason": "circuit breaker", "desiredCount": 2}`
	deployed := func(status, state string) string {
		return strings.NewReplacer("%s", status).Replace(strings.Replace(ours, `"rolloutState": "%s"`, `"rolloutState": "`+state+`"`, 1))
	}
	const old = `{"status": "PRIMARY", "taskDefinition": "web:1", "rolloutState": "IN_PROGRESS"}`
	for _, tt := range []struct {
		shown []string
		want  string // of the error; "" for none
	}{
		{[]string{old, deployed("PRIMARY", "IN_PROGRESS"), old + "," + deployed("ACTIVE", "FAILED")}, "the rollout of prod/web failed: circuit breaker"},
		{[]string{deployed("PRIMARY", "IN_PROGRESS"), old}, "the service prod/web runs web:1 again"},
		{[]string{old, deployed("PRIMARY", "IN_PROGRESS") + "," + strings.Replace(old, "PRIMARY", "ACTIVE", 1), deployed("PRIMARY", "COMPLETED")}, ""},
	} {
		r := newRig(t, fakeaws.Config{})
		for _, s := range tt.shown {
			r.aws.Script(fakeaws.Fault{Match: "ecs:DescribeServices", Times: 1, Status: 200, ContentType: "application/x-amz-json-1.1",
				Body: []byte(`{"services": [{"status": "ACTIVE", "deployments": [` + s + `]}]}`)})
		}
		a := r.open()
		err := until(t.Context(), a.cfg.Rollout, a.cfg.FirstPause, a.rollout(ServiceName{"prod", "web"}, &ecs.UpdateServiceInput{TaskDefinition: aws.String("web:2")}), func(string, time.Duration) {})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.shown, err, tt.want)
		}
		if n := r.aws.Calls("ecs:DescribeServices"); n != len(tt.shown) {
			t.Errorf("%d looks", n)
		}
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	a := &Account{ID: "123456789012", Partition: "aws", Region: "eu-west-1"}
	for text, want := range map[string]string{
		"app": "", "web:7": "", "": "", "arn:aws:iam::123456789012:role/app": "", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7": "",
		"arn:aws:iam::210987654321:role/app":                             "of another account: the caller's is 123456789012, in the partition aws",
		"arn:aws-cn:iam::123456789012:role/app":                          "of another account",
		"arn:aws:ecs:us-east-1:123456789012:task-definition/web:7":       "in another region than eu-west-1",
		"arn:aws:ecs:eu-west-1:210987654321:task/prod/0123456789abcdef0": "of another account",
	} {
		if err := a.Owns(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
