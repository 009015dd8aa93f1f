package fakeaws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// setupState is what one account has of IAM, EC2 and ECS.
type setupState struct {
	account   string
	roles     map[string]*iamRole    // :: name
	profiles  map[string]*iamProfile // :: name
	policies  map[string]bool        // :: ARN of a managed policy of the account
	instances map[string]*ec2Instance
	bonds     []*ec2Association // in the order they were made
	families  map[string][]*ecsRevision
	services  map[string]*ecsService // :: CLUSTER/SERVICE
	tasks     map[string]map[string]any
	made      int // for ids
}

// Change is a call of IAM, EC2 or ECS that changed something.
type Change struct {
	Op     string            // "iam:CreateRole"
	Params map[string]string // flat: "Tags.member.1.Key" of a query, "tags.1.key" of JSON
}

// Changes lists them in the order they were made.
func (s *Server) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.changes)
}

// setup is the state of an account; mu is held.
func (s *Server) setup(account string) *setupState {
	st := s.setups[account]
	if st == nil {
		st = &setupState{account: account, roles: map[string]*iamRole{}, profiles: map[string]*iamProfile{}, policies: map[string]bool{},
			instances: map[string]*ec2Instance{}, families: map[string][]*ecsRevision{}, services: map[string]*ecsService{}, tasks: map[string]map[string]any{}}
		s.setups[account] = st
	}
	return st
}

// setupCall is one call of IAM, EC2 or ECS, with mu held.
type setupCall struct {
	*call
	s      *Server
	st     *setupState
	who    caller
	region string
	action string         // "CreateRole"
	input  map[string]any // of ECS

}

// setupOp is one operation.
type setupOp struct {
	handle func(*setupCall) reply
	// resource the call is about, for the caller's permissions. Nil: "*".
	resource func(*setupCall) string
	changes  bool
}

// setupOps finds an operation of a service.
func setupOps(service, action string) (setupOp, bool) {
	var op setupOp
	var ok bool
	switch service {
	case "iam":
		op, ok = iamOps()[action]
	case "ec2":
		op, ok = ec2Ops()[action]
	case "ecs":
		op, ok = ecsOps()[action]
	}
	return op, ok
}

// routeSetup takes the calls of IAM, EC2 and ECS, nil for others.
func (s *Server) routeSetup(c *call) handler {
	service, action := "", ""
	switch {
	case strings.HasPrefix(c.r.Header.Get("X-Amz-Target"), "AmazonEC2ContainerServiceV20141113."):
		service = "ecs"
		action = strings.TrimPrefix(c.r.Header.Get("X-Amz-Target"), "AmazonEC2ContainerServiceV20141113.")
		c.kind = shapeJSON
	case c.form.Get("Version") == "2010-05-08":
		service, action, c.kind = "iam", c.form.Get("Action"), shapeXML
	case c.form.Get("Version") == "2016-11-15":
		service, action, c.kind = "ec2", c.form.Get("Action"), shapeEC2
	default:
		return nil
	}
	op, ok := setupOps(service, action)
	if !ok {
		c.op = "unknown"
		return func(c *call) reply {
			return c.errorReply(http.StatusBadRequest, "InvalidAction", "this fake has no "+service+" "+strconv.Quote(clip(action)))
		}
	}
	c.op, c.name = service+":"+action, firstOf(c.form.Get("RoleName"), c.form.Get("InstanceProfileName"), c.form.Get("InstanceId"))
	return func(c *call) reply { return s.answerSetup(c, op, action) }
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (s *Server) answerSetup(c *call, op setupOp, action string) reply {
	who, refused := s.caller(c)
	if refused != nil {
		return c.deny(refused)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := &setupCall{call: c, s: s, st: s.setup(who.account), who: who, region: signingRegion(c.r), action: action}
	if c.kind == shapeJSON {
		if err := json.Unmarshal(c.body, &sc.input); err != nil {
			return c.errorReply(http.StatusBadRequest, "SerializationException", "not JSON")
		}
	}
	resource := "*"
	if op.resource != nil {
		resource = op.resource(sc)
	}
	if no, ok := sc.forbidden(c.op, resource, ""); ok {
		return no
	}
	rep := op.handle(sc)
	if op.changes && rep.status == http.StatusOK {
		s.changes = append(s.changes, Change{Op: c.op, Params: sc.flat()})
	}
	return rep
}

// fail says no in the service's shape.
func (c *setupCall) fail(code, format string, args ...any) reply {
	status := http.StatusBadRequest
	switch code {
	case "NoSuchEntity":
		status = http.StatusNotFound
	case "EntityAlreadyExists", "LimitExceeded", "DeleteConflict":
		status = http.StatusConflict
	}
	return c.errorReply(status, code, fmt.Sprintf(format, args...))
}
