package roles

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"rolecall/internal/fakeaws"
)

// wantCheck wants one check with the status, whose detail and fix hold the texts.
func wantCheck(t *testing.T, all []Check, name, status, detail, fix string) {
	t.Helper()
	for _, c := range all {
		if c.Name == name {
			if c.Status != status || !strings.Contains(c.Detail, detail) || !strings.Contains(c.Fix, fix) {
				t.Errorf("%s is %q (fix %q) and %s, want …%s… (fix …%s…) and %s", name, c.Detail, c.Fix, c.Status, detail, fix, status)
			}
			return
		}
	}
	t.Errorf("there is no check %s in %+v", name, all)
}

// Each way in which credentials may fail to arrive on an instance is told as
// itself, with what mends it.
func TestVerifyInstance(t *testing.T) {
	t.Parallel()
	const again = "rolecall role attach app --instance " + idA
	type given func(*rig)
	with := func(i fakeaws.Instance, more ...given) given {
		return func(r *rig) {
			i.ID = idA
			r.aws.AddInstance(i)
			for _, m := range more {
				m(r)
			}
		}
	}
	attached := func(r *rig) { r.run(onA(r)) }
	for _, tt := range []struct {
		name                      string
		given                     given
		role                      string
		check, status, want, mend string
	}{
		{"no role", nil, "nosuch", "role", checkFailed, "there is no role nosuch in the account 123456789012", "rolecall role create nosuch --for ec2"},
		{"trust", with(fakeaws.Instance{}, withRole("fn", Lambda)), "fn", "trust", checkFailed, "does not let ec2.amazonaws.com", "rolecall role create fn --for ec2"},
		{"unknown", nil, "app", "instance", checkFailed, "no such instance in eu-west-1", "--region"},
		{"terminated", with(fakeaws.Instance{State: "terminated"}), "app", "instance", checkFailed, "is terminated", "name an instance"},
		{"stopped", with(fakeaws.Instance{State: "stopped"}, attached), "app", "instance", checkWarning, "is stopped", "aws ec2 start-instances"},
		{"no profile", with(fakeaws.Instance{}), "app", "association", checkFailed, "has no instance profile", again},
		{"empty profile", with(fakeaws.Instance{Profile: "old"}), "app", "instance profile", checkFailed, "old holds no role", again},
		{"other role", with(fakeaws.Instance{}, withRole("other", EC2), func(r *rig) {
			r.run(attach(InstanceWanted{Role: name(r, "other"), Instances: Selection{IDs: []string{idA}}}))
		}), "app", "instance profile", checkFailed, "other holds the role other", again},
		{"profile gone", with(fakeaws.Instance{}, attached, func(r *rig) {
			r.aws.Script(fakeaws.Fault{Match: "iam:GetInstanceProfile", Status: 404, Code: "NoSuchEntity"})
		}), "app", "instance profile", checkFailed, "app of the instance is gone", again},
		{"associating", with(fakeaws.Instance{}, attached, func(r *rig) { r.aws.SetAssociation(idA, "associating", 5) }), "app", "association", checkWarning, "is associating", "look again"},
		{"disassociating", with(fakeaws.Instance{}, attached, func(r *rig) { r.aws.SetAssociation(idA, "disassociating", 5) }), "app", "association", checkFailed, "is disassociating", again},
		{"no metadata", with(fakeaws.Instance{NoMetadata: true}, attached), "app", "metadata service", checkFailed, "switched off", again + " --metadata-tokens required"},
		{"one hop", with(fakeaws.Instance{}, attached), "app", "metadata service", checkWarning, "travel 1 hop", again + " --metadata-hop-limit 2"},
		{"all well", with(fakeaws.Instance{HopLimit: 2, Tokens: "required"}, attached), "app", "metadata service", checkOK, "hop limit of 2; tokens are required", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakeaws.Config{})
			withRole("app", EC2)(r)
			if tt.given != nil {
				tt.given(r)
			}
			got, err := r.open().VerifyInstance(t.Context(), name(t, tt.role), idA)
			if err != nil {
				t.Fatal(err)
			}
			wantCheck(t, got, tt.check, tt.status, tt.want, tt.mend)
			if tt.status == checkFailed != Failed(got) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// onA gives the role app to the instance idA.
func onA(r *rig) planner {
	return attach(InstanceWanted{Role: name(r, "app"), Instances: Selection{IDs: []string{idA}}})
}

// A caller that may not look, or that AWS does not answer, has no verdict.
func TestVerifyWithoutAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{})
	withRole("app", EC2)(r)
	r.aws.AddInstance(fakeaws.Instance{ID: idA})
	r.run(onA(r))
	for _, op := range []string{"iam:GetRole", "ec2:DescribeInstances", "ec2:DescribeIamInstanceProfileAssociations", "iam:GetInstanceProfile"} {
		r.aws.Script(fakeaws.Fault{Match: op, Status: 403, Code: "AccessDenied"})
		got, err := r.open().VerifyInstance(t.Context(), name(t, "app"), idA)
		if err == nil || !strings.Contains(err.Error(), "no permission for "+op) || Failed(got) {
			t.Errorf("%s: %v with %+v", op, err, got)
		}
		r.aws.ClearFaults()
	}
}

func TestVerifyTask(t *testing.T) {
	t.Parallel()
	const role = `arn:aws:iam::123456789012:role/app`
	for _, tt := range []struct {
		name, definition, task    string // definition: what it has beside its family
		check, status, want, mend string
	}{
		{"none", ``, `{}`, "task role", checkFailed, "web:1 names no task role", "rolecall role attach app --task-definition web --update-service"},
		{"other", `, "taskRoleArn": "arn:aws:iam::123456789012:role/x/other"`, `{}`, "task role", checkFailed, "web:1 names the role x/other", "role attach app"},
		{"execution only", `, "executionRoleArn": "` + role + `"`, `{}`, "task role", checkFailed, "as execution role only", "role attach app"},
		{"right", `, "taskRoleArn": "` + role + `"`, `{}`, "task role", checkOK, "web:1 names it", ""},
		{"overridden", `, "taskRoleArn": "` + role + `"`, `{"overrides": {"taskRoleArn": "arn:aws:iam::123456789012:role/other"}}`, "task role", checkFailed, "the task's override names the role other", ""},
		{"stopped", `, "taskRoleArn": "` + role + `"`, `{"lastStatus": "STOPPED", "stoppedReason": "Essential container exited"}`, "task", checkWarning, "it is STOPPED Essential container exited", ""},
		{"keys", `, "containerDefinitions": [{"name": "app", "environment": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]}]`, `{}`, "container app", checkFailed, "it sets AWS_ACCESS_KEY_ID", "take AWS_ACCESS_KEY_ID out"},
		{"keys of an override", `, "containerDefinitions": [{"name": "app"}]`, `{"overrides": {"containerOverrides": [{"name": "app", "environment": [{"name": "AWS_PROFILE", "value": "x"}]}]}}`, "container app", checkFailed, "it sets AWS_PROFILE", ""},
		{"container", `, "taskRoleArn": "` + role + `", "containerDefinitions": [{"name": "app"}]`, `{}`, "container app", checkOK, "ECS sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""},
		{"host network", `, "networkMode": "host"`, `{"launchType": "EC2"}`, "network", checkWarning, "only where that is switched on", "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakeaws.Config{})
			withRole("app", ECSTask)(r)
			arn, err := r.aws.AddTaskDefinition(`{"family": "web"` + tt.definition + `}`)
			if err != nil {
				t.Fatal(err)
			}
			id, err := r.aws.AddTask("prod", arn, tt.task)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{"prod/" + id, "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id} {
				got, err := r.open().VerifyTask(t.Context(), name(t, "app"), text)
				if err != nil {
					t.Fatal(err)
				}
				wantCheck(t, got, tt.check, tt.status, tt.want, tt.mend)
			}
		})
	}
	r := newRig(t, fakeaws.Config{})
	withRole("app", EC2)(r)
	got, err := r.open().VerifyTask(t.Context(), name(t, "app"), "0123")
	if err != nil {
		t.Fatal(err)
	}
	wantCheck(t, got, "trust", checkFailed, "does not let ecs-tasks.amazonaws.com", "rolecall role create app --for ecs-task")
	wantCheck(t, got, "task", checkFailed, "there is no task 0123 in the cluster default of eu-west-1", "aws ecs list-tasks --cluster default")
	if _, err := r.open().VerifyTask(t.Context(), name(t, "app"), "arn:aws:ecs:us-east-1:123456789012:task/prod/0123"); err == nil || !strings.Contains(err.Error(), "in another region") {
		t.Errorf("error %v", err)
	}
}

func TestStartFailure(t *testing.T) {
	t.Parallel()
	if err := StartFailure(&ecs.RunTaskOutput{Tasks: []types.Task{{TaskArn: aws.String("a")}}}); err != nil {
		t.Error(err)
	}
	err := StartFailure(&ecs.RunTaskOutput{Failures: []types.Failure{{Reason: aws.String("RESOURCE:MEMORY")}, {Reason: aws.String("AGENT"), Detail: aws.String("gone")}}})
	if err == nil || fmt.Sprint(err) != "ECS did not start the task: RESOURCE:MEMORY; AGENT gone" {
		t.Error(err)
	}
}
