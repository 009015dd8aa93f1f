package roles

import (
	"encoding/json"
	"slices"
	"strings"
)

// Permission is one thing that the caller must be allowed to do.
type Permission struct {
	Action   string `json:"action"`
	Resource string `json:"resource"`
	// Condition: operator → key → values; nil for none.
	Condition map[string]map[string][]string `json:"condition,omitempty"`
}

// permissions is a set of them, in the order they came.
type permissions struct{ list []Permission }

func (p *permissions) add(more ...Permission) {
	for _, m := range more {
		if !slices.ContainsFunc(p.list, func(have Permission) bool { return have.key() == m.key() && have.Action == m.Action }) {
			p.list = append(p.list, m)
		}
	}
}

// key is equal for permissions that can stand in one statement.
func (p Permission) key() string {
	c, err := json.Marshal(p.Condition)
	if err != nil {
		return p.Resource
	}
	return p.Resource + "\n" + string(c)
}

func may(action, resource string) Permission { return Permission{Action: action, Resource: resource} }

// mayIf is a permission that holds where key has one of the values.
func mayIf(action, resource, operator, key string, values ...string) Permission {
	return Permission{Action: action, Resource: resource, Condition: map[string]map[string][]string{operator: {key: values}}}
}

// mayPass is the permission to give a role to a service.
func (a *Account) mayPass(roleARN string, s Service) Permission {
	t, _ := trustOf(s, a.Partition)
	return mayIf("iam:PassRole", roleARN, "StringEquals", "iam:PassedToService", t.principals()...)
}

// Policy is the IAM policy that grants just the permissions. The caller's
// identity needs no permission to be asked for.
func Policy(all []Permission) json.RawMessage {
	type entry struct {
		Effect    string
		Action    []string
		Resource  any
		Condition map[string]map[string][]string `json:",omitempty"`
	}
	// One statement for each resource and condition, then those of the same
	// actions together.
	byResource := map[string]*entry{}
	var order []string
	for _, p := range all {
		k := p.key()
		if byResource[k] == nil {
			byResource[k] = &entry{Effect: "Allow", Resource: []string{p.Resource}, Condition: p.Condition}
			order = append(order, k)
		}
		if e := byResource[k]; !slices.Contains(e.Action, p.Action) {
			e.Action = append(e.Action, p.Action)
			slices.Sort(e.Action)
		}
	}
	var out []*entry
	byAction := map[string]*entry{}
	for _, k := range order {
		e := byResource[k]
		_, condition, _ := strings.Cut(k, "\n")
		same := strings.Join(e.Action, ",") + condition
		if first := byAction[same]; first != nil {
			first.Resource = append(first.Resource.([]string), e.Resource.([]string)...)
			continue
		}
		byAction[same] = e
		out = append(out, e)
	}
	b, err := json.MarshalIndent(struct {
		Version   string
		Statement []*entry
	}{"2012-10-17", out}, "", "  ")
	if err != nil { // texts and lists of texts only
		return nil
	}
	return b
}
