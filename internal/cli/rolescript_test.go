package cli

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rolecall/internal/fakeaws"
)

// Scripts about setting roles up, in a directory of their own: the same world,
// with commands for what is in AWS.
func TestRoleScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/role",
		Setup: ownHome,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fault":      cmdFault,
			"heal":       cmdHeal,
			"calls":      cmdCalls,
			"exit":       cmdExit,
			"serve":      cmdServe,
			"append":     cmdAppend,
			"roleaws":    cmdRoleAWS,
			"instance":   cmdInstance,
			"definition": cmdDefinition,
			"task":       cmdTask,
			"permit":     cmdPermit,
			"mfaonly":    func(ts *testscript.TestScript, neg bool, _ []string) { worldOf(ts).aws.RequireMFA(!neg) },
			"settle":     cmdSettle,
			"changes":    cmdChanges,
		},
	})
}

// options reads key=value words.
func options(ts *testscript.TestScript, args []string) map[string]string {
	o := map[string]string{}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			ts.Fatalf("%s is not key=value", a)
		}
		o[key] = value
	}
	return o
}

func number(ts *testscript.TestScript, text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// roleaws [propagation=N] [settling=N] [page=N] [region=R]: a fake AWS; the
// profile base is the default one.
func cmdRoleAWS(ts *testscript.TestScript, neg bool, args []string) {
	o := options(ts, args)
	startFake(ts, fakeaws.Config{Canary: canary, Region: o["region"], Propagation: number(ts, o["propagation"]), Settling: number(ts, o["settling"]), PageSize: number(ts, o["page"])})
	ts.Setenv("AWS_PROFILE", "base")
}

// instance ID [name=…] [profile=…] [state=…] [region=…]
func cmdInstance(ts *testscript.TestScript, neg bool, args []string) {
	o := options(ts, args[1:])
	worldOf(ts).aws.AddInstance(fakeaws.Instance{ID: args[0], Name: o["name"], Profile: o["profile"], State: o["state"], Region: o["region"]})
}

// definition FILE [CLUSTER SERVICE [fails]]: registers it; the service runs it.
func cmdDefinition(ts *testscript.TestScript, neg bool, args []string) {
	arn, err := worldOf(ts).aws.AddTaskDefinition(ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Setenv("DEFINITION", arn)
	if len(args) > 2 {
		worldOf(ts).aws.AddService(args[1], args[2], arn, len(args) > 3)
	}
}

// task CLUSTER [FILE]: a task of the last definition; sets $TASK.
func cmdTask(ts *testscript.TestScript, neg bool, args []string) {
	text := "{}"
	if len(args) > 1 {
		text = ts.ReadFile(args[1])
	}
	id, err := worldOf(ts).aws.AddTask(args[0], ts.Getenv("DEFINITION"), text)
	ts.Check(err)
	ts.Setenv("TASK", id)
}

// permit FILE: the caller may do what the policy in it allows; the policy of a
// dry run's --json will do. Without FILE: everything.
func cmdPermit(ts *testscript.TestScript, neg bool, args []string) {
	id, _ := worldOf(ts).aws.BaseUser()
	policy := ""
	if len(args) > 0 {
		policy = ts.ReadFile(args[0])
		var result struct {
			Policy json.RawMessage `json:"caller_policy"`
		}
		if json.Unmarshal([]byte(policy), &result) == nil && result.Policy != nil {
			policy = string(result.Policy)
		}
	}
	ts.Check(worldOf(ts).aws.Permit(id, policy))
}

// settle ID STATE LOOKS: the state of an instance's association.
func cmdSettle(ts *testscript.TestScript, neg bool, args []string) {
	worldOf(ts).aws.SetAssociation(args[0], args[1], number(ts, args[2]))
}

// changes [FILE]: the names of the calls that changed something since the last
// time, one a line, are those in FILE; without FILE, there are none. With a
// dry run's --json as FILE, those of its plan.
func cmdChanges(ts *testscript.TestScript, neg bool, args []string) {
	seen := number(ts, ts.Getenv("CHANGES_SEEN"))
	all := worldOf(ts).aws.Changes()
	ts.Setenv("CHANGES_SEEN", strconv.Itoa(len(all)))
	var got, want []string
	for _, c := range all[seen:] {
		got = append(got, c.Op)
	}
	if len(args) > 0 {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		ts.Check(err)
		var result roleResult
		if json.Unmarshal(text, &result) == nil {
			for _, s := range result.Steps {
				if s.Action != "" {
					want = append(want, s.Action)
				}
			}
		} else {
			want = strings.Fields(string(text))
		}
		if len(want) == 0 {
			ts.Fatalf("%s names no call", args[0])
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		ts.Fatalf("changed by %q, want %q", got, want)
	}
}
