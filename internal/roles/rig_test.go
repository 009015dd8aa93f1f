package roles

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"rolecall/internal/creds"
	"rolecall/internal/fakeaws"
)

// rig is a fake AWS and an account on it.
type rig struct {
	*testing.T
	aws    *fakeaws.Server
	cfg    Config
	dir    string // of the journals
	events []Event
}

func newRig(t *testing.T, c fakeaws.Config) *rig {
	t.Helper()
	s, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	region := c.Region
	if region == "" {
		region = "eu-west-1"
	}
	r := &rig{T: t, aws: s, dir: filepath.Join(t.TempDir(), "journal")}
	id, secret := s.BaseUser()
	r.cfg = Config{
		Credentials: creds.ProviderFunc(func(context.Context) (creds.Credentials, error) {
			return creds.Credentials{AccessKeyID: id, SecretAccessKey: creds.NewSecret(secret)}, nil
		}),
		Region:     region,
		Endpoint:   func(string) (Endpoint, error) { return Endpoint{Base: aws.String(s.URL())}, nil },
		FirstPause: time.Millisecond, Patience: 3 * time.Second, Rollout: 3 * time.Second, Attempts: 3,
		Progress: func(e Event) { r.events = append(r.events, e) },
	}
	return r
}

func (r *rig) open() *Account {
	r.Helper()
	a, err := Open(r.Context(), r.cfg)
	if err != nil {
		r.Fatal(err)
	}
	return a
}

func name(t testing.TB, text string) Name {
	t.Helper()
	n, err := ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// planner makes a plan with an account.
type planner func(a *Account) (*Plan, error)

func create(w Wanted) planner {
	return func(a *Account) (*Plan, error) { return a.PlanCreate(context.Background(), w) }
}

func attach(w InstanceWanted) planner {
	return func(a *Account) (*Plan, error) { return a.PlanAttachInstances(context.Background(), w) }
}

func taskRole(w TaskWanted) planner {
	return func(a *Account) (*Plan, error) { return a.PlanTaskDefinition(context.Background(), w) }
}

func detach(role Name, ids ...string) planner {
	return func(a *Account) (*Plan, error) {
		return a.PlanDetachInstances(context.Background(), role, Selection{IDs: ids})
	}
}

// plan fails the test where there is none.
func (r *rig) plan(make planner) (*Account, *Plan) {
	r.Helper()
	a := r.open()
	p, err := make(a)
	if err != nil {
		r.Fatalf("plan: %v", err)
	}
	return a, p
}

// run plans and executes.
func (r *rig) run(make planner) *Plan {
	r.Helper()
	a, p := r.plan(make)
	if _, err := a.Run(r.Context(), p, a.Begin(r.dir, p, "x")); err != nil {
		r.Fatalf("run: %v", err)
	}
	return p
}

// refused wants an error with the text from planning or running.
func (r *rig) refused(make planner, want string) error {
	r.Helper()
	a := r.open()
	p, err := make(a)
	if err == nil {
		_, err = a.Run(r.Context(), p, a.Begin(r.dir, p, "x"))
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		r.Fatalf("error %v, want …%s…", err, want)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || hinted.Hint() == "" {
		r.Errorf("%v has no hint", err)
	}
	return err
}

func actions(p *Plan) (all []string) {
	for _, s := range p.Steps {
		if s.Action == "" {
			all = append(all, "wait")
		} else {
			all = append(all, s.Action)
		}
	}
	return all
}

func (r *rig) wantActions(p *Plan, want ...string) {
	r.Helper()
	if got := actions(p); !slices.Equal(got, want) {
		r.Fatalf("steps %q, want %q", got, want)
	}
}

// instance is what the fake shows of one.
func (r *rig) instance(id string) instance {
	r.Helper()
	all, err := r.open().instances(r.Context(), Selection{IDs: []string{id}})
	if err != nil {
		r.Fatal(err)
	}
	return all[0]
}

// flat is a plan's calls as the fake records them.
func flat(t testing.TB, p *Plan) (all []fakeaws.Change) {
	t.Helper()
	for _, s := range p.Steps {
		if s.Action == "" {
			continue
		}
		var v any
		if err := json.Unmarshal(s.ShownInput(), &v); err != nil {
			t.Fatal(err)
		}
		params := map[string]string{}
		flatten(params, "", v, strings.HasPrefix(s.Action, "ecs:"))
		all = append(all, fakeaws.Change{Op: s.Action, Params: params})
	}
	return all
}

// flatten writes keys as the wire has them: IAM's lists are "member".
func flatten(out map[string]string, prefix string, v any, lower bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, one := range v {
			if lower {
				key = strings.ToLower(key[:1]) + key[1:]
			}
			flatten(out, prefix+"."+key, one, lower)
		}
	case []any:
		for i, one := range v {
			at := prefix + "." + jsonText(i+1)
			if !lower {
				at = prefix + ".member." + jsonText(i+1)
			}
			flatten(out, at, one, lower)
		}
	default:
		out[strings.TrimPrefix(prefix, ".")] = jsonText(v)
	}
}

func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

const (
	idA = "i-0aaaaaaaaaaaaaaa1"
	idB = "i-0bbbbbbbbbbbbbbb2"
	idC = "i-0cccccccccccccc03"
)
