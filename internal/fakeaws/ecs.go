package fakeaws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ecsRevision is one revision of a task definition, in the API's own words.
type ecsRevision struct {
	def  map[string]any
	tags any
}

type ecsService struct {
	name    map[string]string // cluster, service
	runs    string            // ARN of a task definition
	rolling int               // looks until the rollout is over
	fails   bool
}

// AddTaskDefinition registers a task definition of Config.Account in
// Config.Region, from the JSON of a RegisterTaskDefinition, and answers its ARN.
func (s *Server) AddTaskDefinition(text string) (string, error) {
	var in map[string]any
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return "", fmt.Errorf("fakeaws: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &setupCall{s: s, st: s.setup(s.cfg.Account), region: s.cfg.Region, input: in}
	r := c.registered()
	return r.def["taskDefinitionArn"].(string), nil
}

// AddService makes a service that runs a task definition (an ARN). Where fails
// is set, no rollout of it succeeds.
func (s *Server) AddService(cluster, service, taskDefinition string, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setup(s.cfg.Account).services[cluster+"/"+service] = &ecsService{name: map[string]string{"cluster": cluster, "service": service}, runs: taskDefinition, fails: fails}
}

// AddTask makes a running task from the JSON of the API's Task, and answers its
// id. taskDefinition is an ARN.
func (s *Server) AddTask(cluster, taskDefinition, text string) (string, error) {
	task := map[string]any{}
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return "", fmt.Errorf("fakeaws: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &setupCall{s: s, st: s.setup(s.cfg.Account), region: s.cfg.Region}
	return c.newTask(cluster, taskDefinition, task), nil
}

func (c *setupCall) newTask(cluster, definition string, task map[string]any) string {
	id := strings.TrimPrefix(c.st.id(""), "-")
	task["taskArn"], task["taskDefinitionArn"] = c.arn("ecs", "task/"+cluster+"/"+id), definition
	if task["lastStatus"] == nil {
		task["lastStatus"] = "RUNNING"
	}
	c.st.tasks[cluster+"/"+id] = task
	return id
}

func ecsOps() map[string]setupOp {
	service := func(c *setupCall) string {
		name := c.text("service")
		if list := c.texts("services"); len(list) > 0 {
			name = list[0]
		}
		return c.arn("ecs", "service/"+c.cluster()+"/"+name)
	}
	definition := func(c *setupCall) string {
		if r := c.revision(c.text("taskDefinition")); r != nil {
			return r.def["taskDefinitionArn"].(string)
		}
		return "*"
	}
	task := func(c *setupCall) string {
		id := c.text("task")
		if list := c.texts("tasks"); len(list) > 0 {
			id = list[0]
		}
		return c.arn("ecs", "task/"+c.cluster()+"/"+id[strings.LastIndexByte(id, '/')+1:])
	}
	return map[string]setupOp{
		"DescribeTaskDefinition":     {(*setupCall).describeDefinition, nil, false},
		"RegisterTaskDefinition":     {(*setupCall).registerDefinition, nil, true},
		"DeregisterTaskDefinition":   {(*setupCall).deregisterDefinition, nil, true},
		"ListTaskDefinitionFamilies": {(*setupCall).listFamilies, nil, false},
		"DescribeServices":           {(*setupCall).describeServices, service, false},
		"UpdateService":              {(*setupCall).updateService, service, true},
		"DescribeTasks":              {(*setupCall).describeTasks, task, false},
		"RunTask":                    {(*setupCall).runTask, definition, true},
		"StopTask":                   {(*setupCall).stopTask, task, true},
	}
}

func (c *setupCall) cluster() string {
	name := firstOf(c.text("cluster"), "default")
	return name[strings.LastIndexByte(name, '/')+1:]
}

func ecsReply(v any) reply {
	rep := jsonReply(http.StatusOK, v)
	rep.header.Set("Content-Type", "application/x-amz-json-1.1")
	return rep
}

// revision finds FAMILY (the newest active), FAMILY:N or an ARN.
func (c *setupCall) revision(text string) *ecsRevision {
	if strings.HasPrefix(text, "arn:") && !strings.HasPrefix(text, c.arn("ecs", "task-definition/")) {
		return nil
	}
	text = text[strings.LastIndexByte(text, '/')+1:]
	family, number, exact := strings.Cut(text, ":")
	for _, r := range slices.Backward(c.st.families[family]) {
		if exact && fmt.Sprint(r.def["revision"]) == number || !exact && r.def["status"] == "ACTIVE" {
			return r
		}
	}
	return nil
}

func (c *setupCall) describeDefinition() reply {
	r := c.revision(c.text("taskDefinition"))
	if r == nil {
		return c.fail("ClientException", "Unable to describe task definition.")
	}
	out := map[string]any{"taskDefinition": r.def}
	if slices.Contains(c.texts("include"), "TAGS") && r.tags != nil {
		out["tags"] = r.tags
	}
	return ecsReply(out)
}

// registered makes the next revision of what the call brings.
func (c *setupCall) registered() *ecsRevision {
	def := maps.Clone(c.input)
	r := &ecsRevision{def: def, tags: def["tags"]}
	delete(def, "tags")
	family, _ := def["family"].(string)
	n := len(c.st.families[family]) + 1
	def["revision"], def["status"] = n, "ACTIVE"
	def["taskDefinitionArn"] = c.arn("ecs", "task-definition/"+family+":"+strconv.Itoa(n))
	def["compatibilities"], def["registeredBy"], def["registeredAt"] = []string{"EC2", "FARGATE"}, "arn:aws:iam::123456789012:user/somebody", 1767323045
	def["requiresAttributes"] = []map[string]string{{"name": "com.amazonaws.ecs.capability.task-iam-role"}}
	c.st.families[family] = append(c.st.families[family], r)
	return r
}

func (c *setupCall) registerDefinition() reply {
	for _, key := range []string{"taskRoleArn", "executionRoleArn"} {
		if no, ok := c.mayPass(c.text(key), "ecs-tasks.amazonaws.com"); ok {
			return no
		}
	}
	if c.input["tags"] != nil {
		if no, ok := c.forbidden("ecs:TagResource", c.arn("ecs", "task-definition/"+c.text("family")+":*"), ""); ok {
			return no
		}
	}
	r := c.registered()
	return ecsReply(map[string]any{"taskDefinition": r.def, "tags": r.tags})
}

func (c *setupCall) deregisterDefinition() reply {
	r := c.revision(c.text("taskDefinition"))
	if r == nil {
		return c.fail("ClientException", "The specified task definition does not exist.")
	}
	r.def["status"] = "INACTIVE"
	return ecsReply(map[string]any{"taskDefinition": r.def})
}

func (c *setupCall) listFamilies() reply {
	var names []string
	for _, family := range sortedNames(c.st.families) {
		if c.revision(family) != nil {
			names = append(names, family)
		}
	}
	page, next := c.page(names, c.text("nextToken"))
	out := map[string]any{"families": page}
	if next != "" {
		out["nextToken"] = next
	}
	return ecsReply(out)
}
