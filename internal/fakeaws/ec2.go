package fakeaws

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Instance is an EC2 instance of the fake.
type Instance struct {
	ID string // empty: that of the instance metadata service
	// Region. Empty: Config.Region.
	Region string
	// Name is its tag Name.
	Name string
	Tags map[string]string
	// State. Empty: running.
	State string
	// Profile is the name of an instance profile that it has. Empty: none.
	Profile string
	// HopLimit of the metadata service. Zero: 1.
	HopLimit int
	// Tokens: required or optional. Empty: optional.
	Tokens string
	// NoMetadata switches the metadata service off.
	NoMetadata bool
}

type ec2Instance struct{ Instance }

type ec2Association struct {
	id, instance, profile, state string
	looks                        int // until the state goes on
}

// AddInstance makes an instance of Config.Account known, or changes it. A
// profile that is not there is made.
func (s *Server) AddInstance(i Instance) {
	setDefault(&i.ID, imdsInstance)
	setDefault(&i.Region, s.cfg.Region)
	setDefault(&i.State, "running")
	setDefault(&i.HopLimit, 1)
	setDefault(&i.Tokens, "optional")
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.setup(s.cfg.Account)
	st.instances[i.ID] = &ec2Instance{i}
	if i.Profile == "" {
		return
	}
	if st.profiles[i.Profile] == nil {
		c := &setupCall{s: s, st: st}
		st.profiles[i.Profile] = &iamProfile{name: i.Profile, path: "/", arn: c.arn("iam", "instance-profile/"+i.Profile)}
	}
	st.bonds = append(st.bonds, &ec2Association{id: st.id("iip-assoc-"), instance: i.ID, profile: i.Profile, state: "associated"})
}

// SetAssociation sets the state of an instance's newest association, which
// settles after so many looks: "disassociating", "associating".
func (s *Server) SetAssociation(instance, state string, looks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range slices.Backward(s.setup(s.cfg.Account).bonds) {
		if b.instance == instance {
			b.state, b.looks = state, looks
			return
		}
	}
}

func (st *setupState) id(prefix string) string {
	st.made++
	return fmt.Sprintf("%s%017x", prefix, st.made)
}

func ec2Ops() map[string]setupOp {
	instance := func(c *setupCall) string { return c.arn("ec2", "instance/"+c.form.Get("InstanceId")) }
	bound := func(c *setupCall) string {
		for _, b := range c.st.bonds {
			if b.id == c.form.Get("AssociationId") {
				return c.arn("ec2", "instance/"+b.instance)
			}
		}
		return "*"
	}
	return map[string]setupOp{
		"DescribeInstances":                      {(*setupCall).describeInstances, nil, false},
		"DescribeIamInstanceProfileAssociations": {(*setupCall).describeAssociations, nil, false},
		"AssociateIamInstanceProfile":            {(*setupCall).associate, instance, true},
		"ReplaceIamInstanceProfileAssociation":   {(*setupCall).replaceAssociation, bound, true},
		"DisassociateIamInstanceProfile":         {(*setupCall).disassociate, bound, true},
		"ModifyInstanceMetadataOptions":          {(*setupCall).modifyMetadata, instance, true},
	}
}

func (c *setupCall) ec2Done(inside ...string) reply {
	return rawXML(el(c.action+"Response", append([]string{tx("requestId", newUUID())}, inside...)...))
}

// filters of the query, :: name → values.
func (c *setupCall) filters() map[string][]string {
	out := map[string][]string{}
	for i := 1; c.form.Has("Filter." + strconv.Itoa(i) + ".Name"); i++ {
		at := "Filter." + strconv.Itoa(i)
		out[c.form.Get(at+".Name")] = c.list(at + ".Value")
	}
	return out
}

func (c *setupCall) describeInstances() reply {
	asked := c.list("InstanceId")
	for _, id := range asked {
		if i := c.st.instances[id]; i == nil || i.Region != c.region {
			return c.fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
	}
	filters := c.filters()
	var ids []string
	for _, id := range sortedNames(c.st.instances) {
		i := c.st.instances[id]
		if i.Region == c.region && (len(asked) == 0 || slices.Contains(asked, id)) && c.passes(i, filters) {
			ids = append(ids, id)
		}
	}
	page, next := c.page(ids, c.form.Get("NextToken"))
	var all []string
	for _, id := range page {
		all = append(all, el("item", tx("reservationId", "r-"+id[2:]), el("instancesSet", c.instanceXML(c.st.instances[id]))))
	}
	parts := []string{el("reservationSet", all...)}
	if next != "" {
		parts = append(parts, tx("nextToken", next))
	}
	return c.ec2Done(parts...)
}

func (c *setupCall) passes(i *ec2Instance, filters map[string][]string) bool {
	for name, values := range filters {
		have := ""
		tag, isTag := strings.CutPrefix(name, "tag:")
		switch {
		case name == "instance-id":
			have = i.ID
		case name == "instance-state-name":
			have = i.State
		case name == "iam-instance-profile.arn":
			if b := c.bondOf(i.ID); b != nil {
				have = c.st.profiles[b.profile].arn
			}
		case isTag && tag == "Name" && i.Name != "":
			have = i.Name
		case isTag:
			have = i.Tags[tag]
		}
		if !slices.ContainsFunc(values, func(v string) bool {
			ok, err := path.Match(v, have)
			return ok && err == nil || v == have && have != ""
		}) || have == "" {
			return false
		}
	}
	return true
}

// bondOf is the association that an instance shows.
func (c *setupCall) bondOf(id string) *ec2Association {
	for _, b := range c.st.bonds {
		if b.instance == id && (b.state == "associated" || b.state == "associating") {
			return b
		}
	}
	return nil
}

func (c *setupCall) instanceXML(i *ec2Instance) string {
	endpoint := "enabled"
	if i.NoMetadata {
		endpoint = "disabled"
	}
	parts := []string{tx("instanceId", i.ID), el("instanceState", tx("code", "16"), tx("name", i.State)),
		el("metadataOptions", tx("state", "applied"), tx("httpTokens", i.Tokens), tx("httpPutResponseHopLimit", strconv.Itoa(i.HopLimit)), tx("httpEndpoint", endpoint))}
	if b := c.bondOf(i.ID); b != nil {
		parts = append(parts, el("iamInstanceProfile", tx("arn", c.st.profiles[b.profile].arn)))
	}
	var tags []string
	if i.Name != "" {
		tags = append(tags, el("item", tx("key", "Name"), tx("value", i.Name)))
	}
	for _, key := range sortedNames(i.Tags) {
		tags = append(tags, el("item", tx("key", key), tx("value", i.Tags[key])))
	}
	return el("item", append(parts, el("tagSet", tags...))...)
}

func (c *setupCall) modifyMetadata() reply {
	i := c.st.instances[c.form.Get("InstanceId")]
	if i == nil || i.Region != c.region {
		return c.fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", c.form.Get("InstanceId"))
	}
	if n, err := strconv.Atoi(c.form.Get("HttpPutResponseHopLimit")); err == nil {
		i.HopLimit = n
	}
	if t := c.form.Get("HttpTokens"); t != "" {
		i.Tokens = t
	}
	if e := c.form.Get("HttpEndpoint"); e != "" {
		i.NoMetadata = e == "disabled"
	}
	return c.ec2Done(tx("instanceId", i.ID))
}
