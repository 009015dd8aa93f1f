package roles

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
)

// scene is a whole piece of work, with the state it begins in.
type scene struct {
	name  string
	cfg   fakeaws.Config
	given func(*rig)
	do    func(*rig) planner
}

const webDefinition = `{"family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
	"executionRoleArn": "arn:aws:iam::123456789012:role/exec", "tags": [{"key": "team", "value": "a"}],
	"volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}],
	"containerDefinitions": [{"name": "app", "image": "php:8", "essential": true, "environment": [{"name": "MODE", "value": "prod"}]}]}`

func withRole(text string, s Service) func(*rig) {
	return func(r *rig) { r.run(create(Wanted{Name: name(r, text), For: s})) }
}

func scenes() []scene {
	ec2 := func(more func(*rig)) func(*rig) {
		return func(r *rig) {
			withRole("team/app", EC2)(r)
			r.aws.AddInstance(fakeaws.Instance{ID: idA, Name: "web-1"})
			r.aws.AddInstance(fakeaws.Instance{ID: idB, Name: "web-2", Profile: "old"})
			r.aws.AddInstance(fakeaws.Instance{ID: idC, Name: "db-1"})
			if more != nil {
				more(r)
			}
		}
	}
	ecs := func(r *rig) {
		withRole("app", ECSTask)(r)
		arn, err := r.aws.AddTaskDefinition(webDefinition)
		if err != nil {
			r.Fatal(err)
		}
		r.aws.AddService("prod", "web", arn, false)
	}
	slow := fakeaws.Config{Propagation: 2, Settling: 2}
	full := func(r *rig) planner {
		return create(Wanted{Name: name(r, "team/app"), For: EKSPod, Policies: []string{"AmazonS3ReadOnlyAccess", "arn:aws:iam::123456789012:policy/own"},
			Inline:   map[string]string{"q": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sqs:*","Resource":"*"}}`},
			Boundary: "arn:aws:iam::123456789012:policy/edge", Tags: map[string]string{"b": "2", "a": "1"}, Description: "the app", MaxSession: 7200e9})
	}
	policies := func(r *rig) {
		r.aws.AddManagedPolicy("arn:aws:iam::123456789012:policy/own")
		r.aws.AddManagedPolicy("arn:aws:iam::123456789012:policy/edge")
	}
	return []scene{
		{"create", slow, policies, full},
		{"mend", fakeaws.Config{}, func(r *rig) {
			policies(r)
			r.run(create(Wanted{Name: name(r, "team/app"), For: EC2, Tags: map[string]string{"a": "0"}, Inline: map[string]string{"q": `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`}}))
		}, full},
		{"attach", slow, ec2(nil), func(r *rig) planner {
			return attach(InstanceWanted{Role: name(r, "team/app"), Instances: Selection{IDs: []string{idB, idA}}, HopLimit: 2, Tokens: "required"})
		}},
		{"attach by tag", fakeaws.Config{PageSize: 1, Settling: 1}, ec2(nil), func(r *rig) planner {
			return attach(InstanceWanted{Role: name(r, "app"), Instances: Selection{Tags: map[string]string{"Name": "web-*"}}, Profile: "web-profile"})
		}},
		{"detach", fakeaws.Config{Settling: 1}, ec2(func(r *rig) {
			r.run(attach(InstanceWanted{Role: name(r, "app"), Instances: Selection{IDs: []string{idA}}}))
		}), func(r *rig) planner { return detach(name(r, "app"), idA) }},
		{"task definition and service", slow, ecs, func(r *rig) planner {
			return taskRole(TaskWanted{Role: name(r, "app"), TaskDefinition: "web", Services: []ServiceName{{"prod", "web"}}})
		}},
		{"task definition without", fakeaws.Config{}, func(r *rig) {
			ecs(r)
			r.run(taskRole(TaskWanted{Role: name(r, "app"), TaskDefinition: "web"}))
		}, func(r *rig) planner {
			return taskRole(TaskWanted{Role: name(r, "app"), TaskDefinition: "web", Services: []ServiceName{{"prod", "web"}}, Detach: true})
		}},
		{"run task", fakeaws.Config{}, ecs, func(r *rig) planner {
			return func(a *Account) (*Plan, error) {
				return a.PlanRunTask(r.Context(), RunWanted{Role: name(r, "app"), Cluster: "prod", TaskDefinition: "web", Count: 2, LaunchType: "FARGATE", Subnets: []string{"subnet-1"}, PublicIP: true})
			}
		}},
	}
}

// What a plan prints is what a run does: the fake's record of the calls that
// changed something is the plan's list, parameter for parameter. Planning itself
// changes nothing, and the same command then finds all as wanted. Undone, what
// was there is there again.
func TestDryRunEqualsRun(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s.cfg)
			if s.given != nil {
				s.given(r)
			}
			before := len(r.aws.Changes())
			_, dry := r.plan(s.do(r))
			if n := len(r.aws.Changes()); n != before {
				t.Fatalf("planning changed %d things", n-before)
			}
			want := flat(t, dry)
			if len(want) == 0 {
				t.Fatal("an empty plan proves nothing")
			}
			a, p := r.plan(s.do(r))
			j := a.Begin(r.dir, p, "x")
			if _, err := a.Run(t.Context(), p, j); err != nil {
				t.Fatal(err)
			}
			got := r.aws.Changes()[before:]
			same(t, want, got)
			if s.name != "run task" {
				if _, again := r.plan(s.do(r)); len(again.Steps) > 0 {
					t.Errorf("a second run would do %q", actions(again))
				}
			}
			r.undo(p)
			if _, after := r.plan(s.do(r)); !slices.Equal(actions(after), actions(dry)) {
				t.Errorf("after --undo the plan is %q, and was %q", actions(after), actions(dry))
			}
		})
	}
}

// same compares a plan with the record. What AWS had to answer first (the new
// revision) and what is not shown (values of variables, tokens) is named so.
func same(t *testing.T, want, got []fakeaws.Change) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d calls planned, %d made: %v", len(want), len(got), got)
	}
	for i := range want {
		if want[i].Op != got[i].Op {
			t.Fatalf("call %d was %s, planned %s", i+1, got[i].Op, want[i].Op)
		}
		w, g := maps.Clone(want[i].Params), maps.Clone(got[i].Params)
		for key, v := range w {
			if _, sent := g[key]; !sent && (v == "false" || v == "0") { // the SDK sends no defaults
				delete(w, key)
				continue
			}
			switch {
			case v == NewRevision && strings.HasSuffix(g[key], "task-definition/web:2"),
				v == NewRevision && strings.HasSuffix(g[key], "task-definition/web:3"),
				v == Hidden && g[key] == "prod", key == "clientToken" && len(g[key]) == len(v):
				g[key] = v
			}
		}
		if !maps.Equal(w, g) {
			a, _ := json.Marshal(w)
			b, _ := json.Marshal(g)
			t.Errorf("%s was planned with\n%s\nand made with\n%s", want[i].Op, a, b)
		}
	}
}

// undo takes the last run of p's command back.
func (r *rig) undo(p *Plan) {
	r.Helper()
	a := r.open()
	j, err := a.Last(r.dir, p.Command, p.Role)
	if err != nil || j == nil {
		r.Fatalf("no record: %v", err)
	}
	back, err := a.PlanUndo(j)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := a.Run(r.Context(), back, j); err != nil {
		r.Fatalf("undo: %v", err)
	}
	if left, err := a.Last(r.dir, p.Command, p.Role); err != nil || left != nil && left.path == j.path {
		r.Errorf("the record is left: %v, %v", left, err)
	}
}

// The policy that a dry run prints is enough for the run, and nothing in it can
// be left out.
func TestSmallestPolicy(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			allowed := func(drop int) (*rig, []Permission, error) {
				r := newRig(t, s.cfg)
				if s.given != nil {
					s.given(r)
				}
				_, dry := r.plan(s.do(r))
				needs := slices.Clone(dry.Needs)
				if drop >= 0 {
					needs = slices.Delete(needs, drop, drop+1)
				}
				id, _ := r.aws.BaseUser()
				if err := r.aws.Permit(id, string(Policy(needs))); err != nil {
					t.Fatal(err)
				}
				a := r.open()
				p, err := s.do(r)(a)
				if err == nil {
					_, err = a.Run(t.Context(), p, nil)
				}
				return r, dry.Needs, err
			}
			_, needs, err := allowed(-1)
			if err != nil {
				t.Fatalf("the policy is too small: %v\n%s", err, Policy(needs))
			}
			for i, n := range needs {
				if _, _, err := allowed(i); err == nil {
					t.Errorf("%s on %s is in the policy, and is not needed", n.Action, n.Resource)
				} else if !strings.Contains(err.Error(), n.Action) {
					t.Errorf("without %s the error does not name it: %v", n.Action, err)
				}
			}
		})
	}
}
