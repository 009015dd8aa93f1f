package roles

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
	"rolecall/internal/usererr"
)

func attached(r *rig) planner {
	return attach(InstanceWanted{Role: name(r, "app"), Instances: Selection{IDs: []string{idA}}, HopLimit: 2})
}

func withInstance(t *testing.T, c fakeaws.Config) *rig {
	r := newRig(t, c)
	withRole("app", EC2)(r)
	r.aws.AddInstance(fakeaws.Instance{ID: idA, Name: "web-1"})
	return r
}

// A step in the middle fails: what was done is told and can be taken back, or
// gone on from.
func TestNoPermissionForAStep(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		action string
		step   int
		done   int
	}{{"iam:CreateInstanceProfile", 1, 0}, {"iam:AddRoleToInstanceProfile", 2, 1}, {"ec2:AssociateIamInstanceProfile", 4, 2}, {"ec2:ModifyInstanceMetadataOptions", 5, 3}} {
		r := withInstance(t, fakeaws.Config{})
		r.aws.Script(fakeaws.Fault{Match: s.action, Status: 403, Code: "AccessDenied"})
		err := r.refused(attached(r), "no permission for "+s.action)
		var step *StepError
		if !errors.As(err, &step) || step.Step != s.step || step.Of != 6 || len(step.Done) != s.done {
			t.Fatalf("%s: %+v", s.action, step)
		}
		if s.done == 0 {
			if !strings.Contains(err.Error(), "nothing was changed") || strings.Contains(step.Hint(), "--undo") {
				t.Errorf("%v, %s", err, step.Hint())
			}
		} else if !strings.Contains(step.Hint(), "rolecall role attach app --undo") {
			t.Errorf("hint %s", step.Hint())
		}
		r.aws.ClearFaults()
		if s.done > 0 {
			a := r.open()
			j, err := a.Last(r.dir, "attach", name(t, "app"))
			if err != nil || !j.Unfinished("x") || j.Unfinished("y") {
				t.Fatalf("record %+v, %v", j, err)
			}
			back, err := a.PlanUndo(j)
			if err != nil || len(back.Steps) != s.done {
				t.Fatalf("undo %v, %v", back, err)
			}
		}
		r.run(attached(r))
		if i := r.instance(idA); !strings.HasSuffix(i.profileARN, "/app") {
			t.Errorf("the instance has %q", i.profileARN)
		}
	}
}

// Ctrl-C while a call is under way: the call ends and is written down, nothing
// more is begun, and the next run goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{Settling: 1})
	hold := make(chan struct{})
	r.aws.Script(fakeaws.Fault{Match: "iam:AddRoleToInstanceProfile", Until: hold})
	before := r.aws.Calls("iam:AddRoleToInstanceProfile")
	a, p := r.plan(attached(r))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := a.Run(ctx, p, a.Begin(r.dir, p, "x"))
		ended <- err
	}()
	if err := r.aws.WaitCalls(t.Context(), "iam:AddRoleToInstanceProfile", before+1); err != nil {
		t.Fatal(err)
	}
	cancel()
	close(hold)
	err := <-ended
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "put the role app in the instance profile app") {
		t.Fatalf("error %v", err)
	}
	r.aws.ClearFaults()
	if n := r.aws.Calls("ec2:AssociateIamInstanceProfile"); n != 0 {
		t.Errorf("%d calls after the end", n)
	}
	j, err := a.Last(r.dir, "attach", name(t, "app"))
	if err != nil || j == nil || len(j.rec.Undo) != 2 || !j.Unfinished("x") {
		t.Fatalf("record %+v, %v", j, err)
	}
	p = r.run(attached(r))
	r.wantActions(p, "ec2:AssociateIamInstanceProfile", "ec2:ModifyInstanceMetadataOptions", "wait")
}

// Two runs at once end with the same state, each thing made once.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{Propagation: 2, Settling: 2})
	r.aws.AddInstance(fakeaws.Instance{ID: idA})
	for _, do := range []planner{create(Wanted{Name: name(t, "app"), For: EC2, Policies: []string{"ReadOnlyAccess"}, Tags: map[string]string{"a": "b"}}), attached(r)} {
		var plans []*Plan
		var accounts []*Account
		for range 3 { // all of them see that nothing is there
			cfg := r.cfg
			cfg.Progress = nil
			a, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			p, err := do(a)
			if err != nil {
				t.Fatal(err)
			}
			plans, accounts = append(plans, p), append(accounts, a)
		}
		var all sync.WaitGroup
		for i := range plans {
			all.Go(func() {
				if _, err := accounts[i].Run(t.Context(), plans[i], nil); err != nil {
					t.Errorf("run %d: %v", i, err)
				}
			})
		}
		all.Wait()
		if _, p := r.plan(do); len(p.Steps) != 0 {
			t.Errorf("left to do: %q", actions(p))
		}
	}
	made := map[string]int{}
	for _, c := range r.aws.Changes() {
		made[c.Op]++
	}
	for _, op := range []string{"iam:CreateRole", "iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile", "ec2:AssociateIamInstanceProfile"} {
		if made[op] != 1 {
			t.Errorf("%s was done %d times", op, made[op])
		}
	}
}

// Between looking and doing, somebody else does something else.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{})
	withRole("other", EC2)(r)
	a, p := r.plan(attached(r))
	r.run(attach(InstanceWanted{Role: name(t, "other"), Instances: Selection{IDs: []string{idA}}, Profile: "app"}))
	_, err := a.Run(t.Context(), p, nil)
	if err == nil || !strings.Contains(err.Error(), "the instance profile app now holds the role other") {
		t.Errorf("error %v", err)
	}

	a, p = r.plan(create(Wanted{Name: name(t, "late"), For: Lambda}))
	r.run(create(Wanted{Name: name(t, "late"), For: EC2}))
	if _, err = a.Run(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "somebody else has just created the role late") {
		t.Errorf("error %v", err)
	}

	r.aws.AddInstance(fakeaws.Instance{ID: idB})
	a, p = r.plan(attach(InstanceWanted{Role: name(t, "other"), Instances: Selection{IDs: []string{idB}}}))
	r.aws.AddInstance(fakeaws.Instance{ID: idB, State: "terminated"})
	if _, err = a.Run(t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "IncorrectInstanceState") {
		t.Errorf("error %v", err)
	}
}

// Throttling is outlived where it ends, and named where it does not.
func TestThrottled(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{})
	for _, op := range []string{"iam:GetRole", "ec2:DescribeInstances", "ec2:AssociateIamInstanceProfile", "iam:AddRoleToInstanceProfile"} {
		r.aws.Script(fakeaws.Fault{Match: op, Status: 503, Code: "RequestLimitExceeded", Times: 2})
	}
	r.run(attached(r))
	r.aws.Script(fakeaws.Fault{Match: "*", Status: 400, Code: "Throttling"})
	began := time.Now()
	_, err := Open(t.Context(), r.cfg)
	if err == nil || !strings.Contains(err.Error(), "AWS asks for fewer requests: sts:GetCallerIdentity was throttled until the end (3 times)") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// EC2 never hears of the new profile: the wait ends, with what EC2 says.
func TestProfileNeverKnown(t *testing.T) {
	t.Parallel()
	r := withInstance(t, fakeaws.Config{})
	r.cfg.Patience = 50 * time.Millisecond
	r.aws.Script(fakeaws.Fault{Match: "ec2:AssociateIamInstanceProfile", Status: 400, Code: "InvalidParameterValue",
		Message: "Value (app) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"})
	r.refused(attached(r), "Invalid IAM Instance Profile name")
	if n := r.aws.Calls("ec2:AssociateIamInstanceProfile"); n < 3 {
		t.Errorf("asked %d times only", n)
	}
	if !slices.ContainsFunc(r.events, func(e Event) bool {
		return e.State == "wait" && strings.Contains(e.Detail, "Invalid IAM Instance Profile name")
	}) {
		t.Error("nobody was told of the wait")
	}
}

// A caller without credentials: the provider's own error comes through.
func TestCallerErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{})
	want := &usererr.Error{Code: usererr.LoginRequired, Msg: "the profile needs an MFA code", Hint: "log in"}
	r.cfg.Credentials = creds.ProviderFunc(func(context.Context) (creds.Credentials, error) { return creds.Credentials{}, want })
	if _, err := Open(t.Context(), r.cfg); !errors.Is(err, error(want)) {
		t.Errorf("error %v", err)
	}
	r = newRig(t, fakeaws.Config{})
	r.aws.RequireMFA(true)
	_, err := r.open().Show(t.Context(), name(t, "app"))
	if err == nil || !strings.Contains(err.Error(), "explicit deny") {
		t.Errorf("error %v", err)
	}
}

// The record can be read by its owner only, holds no secret, and is that of this
// account and region alone; old ones go.
func TestJournal(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakeaws.Config{Canary: "CANARYCANARY"})
	for i := range journalKept + 5 {
		r.run(create(Wanted{Name: name(t, "team/app"), For: EC2, Tags: map[string]string{"n": strings.Repeat("x", i+1)}}))
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil || len(files) != journalKept+5 {
		t.Fatalf("%d records, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || strings.Contains(string(b), "CANARY") {
			t.Errorf("%s: %v", b, err)
		}
		if info, err := os.Stat(f); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
			t.Errorf("%s: %v", f, info.Mode())
		}
	}
	a := r.open()
	j, err := a.Last(r.dir, "create", name(t, "app"))
	if err != nil || j == nil || len(j.rec.Undo) != 1 || j.rec.Role != "team/app" {
		t.Fatalf("%+v, %v", j, err)
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "*")); err != nil || len(left) != journalKept {
		t.Errorf("%d records are kept, %v", len(left), err)
	}
	for _, other := range []struct{ command, role, region string }{{"attach", "app", ""}, {"create", "app2", ""}, {"create", "app", "us-east-1"}} {
		cfg := r.cfg
		if other.region != "" {
			cfg.Region = other.region
		}
		b, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if j, err := b.Last(r.dir, other.command, name(t, other.role)); j != nil || err != nil {
			t.Errorf("%+v: %+v, %v", other, j, err)
		}
	}
	// One that nobody can read, or of a later version, is passed over or named.
	newest := slices.Max(files)
	if err := os.WriteFile(newest, []byte(`{"version": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if j, err = a.Last(r.dir, "create", name(t, "app")); err != nil || j == nil || j.path == newest {
		t.Errorf("%+v, %v", j, err)
	}
}
