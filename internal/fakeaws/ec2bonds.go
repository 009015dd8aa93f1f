package fakeaws

import (
	"slices"
	"strings"
)

// settle lets an association's state go on: each look brings it nearer.
func (c *setupCall) settle(b *ec2Association) {
	if b.looks > 0 {
		b.looks--
		return
	}
	switch b.state {
	case "associating":
		b.state = "associated"
	case "disassociating":
		b.state = "disassociated"
	}
	c.handOut(b.instance)
}

// handOut makes the metadata service give the role that the instance has.
func (c *setupCall) handOut(instance string) {
	if instance != imdsInstance {
		return
	}
	c.s.imds.role = ""
	if b := c.bondOf(instance); b != nil && b.state == "associated" {
		if p := c.st.profiles[b.profile]; len(p.roles) > 0 && c.st.roles[p.roles[0]] != nil {
			c.s.imds.role = c.st.roles[p.roles[0]].arn
		}
	}
}

func (c *setupCall) bondXML(b *ec2Association, as string) string {
	return el(as, tx("associationId", b.id), tx("instanceId", b.instance), tx("state", b.state),
		el("iamInstanceProfile", tx("arn", c.st.profiles[b.profile].arn), tx("id", stableID("AIPA", b.profile))))
}

func (c *setupCall) describeAssociations() reply {
	filters := c.filters()
	byID := map[string]*ec2Association{}
	for _, b := range c.st.bonds {
		i := c.st.instances[b.instance]
		if b.state == "disassociated" || i == nil || i.Region != c.region || c.st.profiles[b.profile] == nil {
			continue
		}
		if ids, ok := filters["instance-id"]; ok && !slices.Contains(ids, b.instance) {
			continue
		}
		byID[b.id] = b
	}
	page, next := c.page(sortedNames(byID), c.form.Get("NextToken"))
	var all []string
	for _, id := range page {
		all = append(all, c.bondXML(byID[id], "item"))
		c.settle(byID[id])
	}
	parts := []string{el("iamInstanceProfileAssociationSet", all...)}
	if next != "" {
		parts = append(parts, tx("nextToken", next))
	}
	return c.ec2Done(parts...)
}

// namedProfile finds the profile of a request as EC2 knows it: a new one is not
// known to the first Config.Propagation requests.
func (c *setupCall) namedProfile() (*iamProfile, *reply) {
	name := c.form.Get("IamInstanceProfile.Name")
	if arn := c.form.Get("IamInstanceProfile.Arn"); arn != "" {
		name = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	p := c.st.profiles[name]
	if p == nil || c.hiding(&p.unknown) {
		rep := c.fail("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
		return nil, &rep
	}
	if len(p.roles) > 0 {
		if no, ok := c.mayPass(c.st.roles[p.roles[0]].arn, c.ec2Principal()); ok {
			return nil, &no
		}
	}
	return p, nil
}

func (c *setupCall) associate() reply {
	i := c.st.instances[c.form.Get("InstanceId")]
	if i == nil || i.Region != c.region {
		return c.fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", c.form.Get("InstanceId"))
	}
	if i.State == "terminated" || i.State == "shutting-down" {
		return c.fail("IncorrectInstanceState", "The instance '%s' is not in the 'running' or 'stopped' state", i.ID)
	}
	p, no := c.namedProfile()
	if no != nil {
		return *no
	}
	for _, b := range c.st.bonds {
		if b.instance == i.ID && b.state != "disassociated" {
			c.settle(b)
			return c.fail("IncorrectState", "There is an existing association for instance %s", i.ID)
		}
	}
	b := &ec2Association{id: c.st.id("iip-assoc-"), instance: i.ID, profile: p.name, state: "associating", looks: c.s.cfg.Settling}
	c.st.bonds = append(c.st.bonds, b)
	return c.ec2Done(c.bondXML(b, "iamInstanceProfileAssociation"))
}

func (c *setupCall) existing() (*ec2Association, *reply) {
	for _, b := range c.st.bonds {
		if b.id == c.form.Get("AssociationId") && b.state != "disassociated" {
			return b, nil
		}
	}
	rep := c.fail("InvalidAssociationID.NotFound", "An invalid association-id of '%s' was given", c.form.Get("AssociationId"))
	return nil, &rep
}

func (c *setupCall) replaceAssociation() reply {
	old, no := c.existing()
	if no != nil {
		return *no
	}
	if i := c.st.instances[old.instance]; old.state == "disassociating" || i != nil && i.State != "running" && i.State != "pending" { // the true one says so, too
		return c.fail("IncorrectState", "The association %s is not the active association", old.id)
	}
	p, no := c.namedProfile()
	if no != nil {
		return *no
	}
	old.state, old.looks = "disassociating", c.s.cfg.Settling
	b := &ec2Association{id: c.st.id("iip-assoc-"), instance: old.instance, profile: p.name, state: "associating", looks: c.s.cfg.Settling}
	c.st.bonds = append(c.st.bonds, b)
	return c.ec2Done(c.bondXML(b, "iamInstanceProfileAssociation"))
}

func (c *setupCall) disassociate() reply {
	b, no := c.existing()
	if no != nil {
		return *no
	}
	b.state, b.looks = "disassociating", c.s.cfg.Settling
	c.handOut(b.instance)
	return c.ec2Done(c.bondXML(b, "iamInstanceProfileAssociation"))
}
