package fakeaws

import "strings"

func (c *setupCall) describeServices() reply {
	services, failures := []any{}, []any{}
	for _, name := range c.texts("services") {
		s := c.st.services[c.cluster()+"/"+name]
		if s == nil {
			failures = append(failures, map[string]string{"arn": c.arn("ecs", "service/"+c.cluster()+"/"+name), "reason": "MISSING"})
			continue
		}
		services = append(services, c.serviceJSON(s))
		if s.rolling > 0 {
			s.rolling--
		}
	}
	return ecsReply(map[string]any{"services": services, "failures": failures})
}

func (c *setupCall) serviceJSON(s *ecsService) map[string]any {
	state, running := "COMPLETED", 2
	switch {
	case s.rolling > 0:
		state, running = "IN_PROGRESS", 1
	case s.rolling == 0 && s.fails:
		state, running = "FAILED", 0
	}
	return map[string]any{"serviceName": s.name["service"], "status": "ACTIVE", "taskDefinition": s.runs, "desiredCount": 2, "runningCount": running,
		"serviceArn": c.arn("ecs", "service/"+s.name["cluster"]+"/"+s.name["service"]),
		"deployments": []any{map[string]any{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": s.runs, "desiredCount": 2, "runningCount": running,
			"rolloutState": state, "rolloutStateReason": "ECS deployment " + strings.ToLower(state)}}}
}

func (c *setupCall) updateService() reply {
	s := c.st.services[c.cluster()+"/"+c.text("service")]
	if s == nil {
		return c.fail("ServiceNotFoundException", "Service not found.")
	}
	r := c.revision(c.text("taskDefinition"))
	if r == nil || r.def["status"] != "ACTIVE" {
		return c.fail("ClientException", "TaskDefinition is inactive")
	}
	if no, ok := c.passesOf(r, ""); ok {
		return no
	}
	s.runs, s.rolling = r.def["taskDefinitionArn"].(string), c.s.cfg.Settling
	return ecsReply(map[string]any{"service": c.serviceJSON(s)})
}

// passesOf checks that the caller may hand on the roles of a task definition.
func (c *setupCall) passesOf(r *ecsRevision, taskRole string) (reply, bool) {
	if taskRole == "" {
		taskRole, _ = r.def["taskRoleArn"].(string)
	}
	execution, _ := r.def["executionRoleArn"].(string)
	for _, arn := range []string{taskRole, execution} {
		if no, ok := c.mayPass(arn, "ecs-tasks.amazonaws.com"); ok {
			return no, true
		}
	}
	return reply{}, false
}

func (c *setupCall) describeTasks() reply {
	tasks, failures := []any{}, []any{}
	for _, name := range c.texts("tasks") {
		id := name[strings.LastIndexByte(name, '/')+1:]
		if t := c.st.tasks[c.cluster()+"/"+id]; t != nil {
			tasks = append(tasks, t)
			continue
		}
		failures = append(failures, map[string]string{"arn": c.arn("ecs", "task/"+c.cluster()+"/"+id), "reason": "MISSING"})
	}
	return ecsReply(map[string]any{"tasks": tasks, "failures": failures})
}

func (c *setupCall) runTask() reply {
	r := c.revision(c.text("taskDefinition"))
	if r == nil || r.def["status"] != "ACTIVE" {
		return c.fail("ClientException", "TaskDefinition is inactive")
	}
	overrides, _ := c.input["overrides"].(map[string]any)
	role, _ := overrides["taskRoleArn"].(string)
	if no, ok := c.passesOf(r, role); ok {
		return no
	}
	n := 1
	if asked, ok := c.input["count"].(float64); ok {
		n = int(asked)
	}
	tasks := []any{}
	for range n {
		task := map[string]any{"overrides": map[string]any{"taskRoleArn": role}, "lastStatus": "PROVISIONING"}
		c.newTask(c.cluster(), r.def["taskDefinitionArn"].(string), task)
		tasks = append(tasks, task)
	}
	return ecsReply(map[string]any{"tasks": tasks, "failures": []any{}})
}

func (c *setupCall) stopTask() reply {
	id := c.text("task")
	t := c.st.tasks[c.cluster()+"/"+id[strings.LastIndexByte(id, '/')+1:]]
	if t == nil {
		return c.fail("InvalidParameterException", "The referenced task was not found.")
	}
	t["lastStatus"] = "STOPPED"
	return ecsReply(map[string]any{"task": t})
}
