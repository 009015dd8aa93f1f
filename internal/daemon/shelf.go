package daemon

import (
	"context"
	"crypto/rand"
	"sort"
	"unicode/utf8"

	"rolecall/internal/config"
	"rolecall/internal/creds"
	"rolecall/internal/endpoint"
	"rolecall/internal/slot"
	"rolecall/internal/source"
	"rolecall/internal/usererr"
)

// shelf is the slots as the endpoint asks for them.
type shelf struct{ *daemon }

func (d *daemon) shelf() shelf { return shelf{d} }

var (
	errNoDefault = endpoint.NotFound("the default slot is empty", "fill it with: rolecall load PROFILE")
	errNoSlot    = endpoint.NotFound("there is no slot of that name", "rolecall list shows the slots; rolecall load SOURCE --slot NAME fills one")
)

// Names of slots made by URL begin with what they were asked for by.
const (
	derivedSource = "source:"
	derivedRole   = "role:"
)

const longestName = 2048 // of a source or an ARN in a URL

// Document answers a read. Warm, it is a look into memory.
func (s shelf) Document(ctx context.Context, t endpoint.Target) (*endpoint.Document, error) {
	sl, err := s.find(t)
	if err != nil {
		return nil, err
	}
	h, err := sl.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	return h.Prepared.(*endpoint.Document), nil
}

func (s shelf) find(t endpoint.Target) (*slot.Slot, error) {
	if len(t.Name) > longestName || !utf8.ValidString(t.Name) {
		return nil, errNoSlot
	}
	switch t.Kind {
	case endpoint.Source:
		text, err := source.Canonical(t.Name) // two spellings share one slot
		if err != nil {
			return nil, err
		}
		return s.table.Derived(derivedSource+text, func() (slot.Spec, error) { return s.resolve(text) })
	case endpoint.RoleARN, endpoint.RoleName:
		return s.role(t)
	}
	sl := s.table.Slot(t.Name)
	if sl != nil {
		return sl, nil
	}
	if t.Kind == endpoint.DefaultSlot {
		return nil, errNoDefault
	}
	return nil, errNoSlot
}

// role is a role assumed from what the default slot holds now. Once that slot
// holds another identity, the roles assumed from the old one are gone.
func (s shelf) role(t endpoint.Target) (*slot.Slot, error) {
	from := s.table.Slot(slot.Default)
	if from == nil {
		return nil, errNoDefault
	}
	return s.table.Derived(derivedRole+t.Kind.String()+":"+t.Name, func() (slot.Spec, error) {
		base := creds.ProviderFunc(func(ctx context.Context) (creds.Credentials, error) {
			if s.table.Slot(slot.Default) != from {
				return creds.Credentials{}, &usererr.Error{Code: usererr.NotConfigured, Msg: "the default slot was filled anew"}
			}
			h, err := from.Credentials(ctx)
			if err != nil {
				return creds.Credentials{}, err
			}
			return h.Credentials, nil
		})
		assume := s.resolver.AssumeRole
		if t.Kind == endpoint.RoleName {
			assume = s.resolver.AssumeRoleName
		}
		v := from.Snapshot()
		src, err := assume(t.Name, base, v.Spec.Region)
		if err != nil {
			return slot.Spec{}, err
		}
		spec := specOf(src)
		if v.Spec.Key == "" { // uploaded: nobody else can ask for the same
			v.Spec.Key = rand.Text()
		}
		spec.Key += "\nby " + v.Identity.AccountID + "\n" + v.Spec.Key
		return spec, nil
	})
}

// resolve is a source's text as a slot needs it.
func (d *daemon) resolve(text string) (slot.Spec, error) {
	src, err := d.resolver.Resolve(text)
	if err != nil {
		return slot.Spec{}, err
	}
	return specOf(src), nil
}

func specOf(s *source.Source) slot.Spec {
	return slot.Spec{Source: s.Text, Profile: s.Profile, Region: s.Region, Provider: s.Provider, Key: s.Key, Upstream: s.Upstream, Timeout: s.Timeout, Rotates: s.Rotates}
}

// Push puts uploaded credentials into a slot, whatever was in it.
func (s shelf) Push(name string, u endpoint.Upload) error {
	if name != slot.Default {
		if err := config.CheckSlotName(name); err != nil {
			return endpoint.BadRequest("the slot's name cannot be used: " + err.Error())
		}
	}
	profile := u.ProfileName
	if profile == "" {
		profile = name
	}
	if err := s.table.Push(name, slot.Spec{Source: "upload", Profile: profile}, u.Credentials); err != nil {
		return endpoint.BadRequest(err.Error())
	}
	s.changed(name)
	s.log.Info("uploaded", "slot", shown(name), "profile", profile, "expires", u.Credentials.Expires)
	return nil
}

// Unload empties a slot, and what this machine has kept for it goes too.
func (s shelf) Unload(name string) error {
	if !s.empty(name) {
		if name == slot.Default {
			return errNoDefault
		}
		return errNoSlot
	}
	s.changed(name)
	s.log.Info("unloaded", "slot", shown(name))
	return nil
}

// UnloadNamed empties all named slots.
func (s shelf) UnloadNamed() {
	for _, name := range s.names() {
		if name != slot.Default {
			_ = s.Unload(name) // gone already: fine
		}
	}
}

func (d *daemon) names() []string {
	var names []string
	for name := range d.table.Slots {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// changed drops what was assumed from the default slot once that is another's.
func (d *daemon) changed(name string) {
	if name == slot.Default {
		d.table.DropDerived(derivedRole)
	}
}

// Profile describes a slot as aws-sso's API does.
func (s shelf) Profile(name string) (endpoint.Profile, error) {
	sl := s.table.Slot(name)
	if sl == nil {
		if name == slot.Default {
			return endpoint.Profile{}, errNoDefault
		}
		return endpoint.Profile{}, errNoSlot
	}
	return profileOf(sl.Snapshot()), nil
}

// Profiles describes the named slots, sorted.
func (s shelf) Profiles() (all []endpoint.Profile) {
	for _, name := range s.names() {
		if sl := s.table.Slot(name); sl != nil && name != slot.Default {
			all = append(all, profileOf(sl.Snapshot()))
		}
	}
	return all
}

// profileOf names a named slot's content after the slot, by which aws-sso's
// client unloads it.
func profileOf(v slot.Snapshot) endpoint.Profile {
	p := endpoint.Profile{ProfileName: v.Name, AccountID: v.Identity.AccountID, RoleName: v.Identity.RoleName}
	if p.RoleName == "" {
		p.RoleName = creds.RoleNameFromARN(v.Identity.RoleARN)
	}
	if v.Name == slot.Default {
		p.ProfileName = title(v.Spec)
	}
	switch {
	case v.Remaining > 0:
		p.Expires = v.Expires
	case v.State == slot.Expired:
		p.Expires = v.Identity.Expires
	}
	return p
}

func title(s slot.Spec) string {
	if s.Profile != "" {
		return s.Profile
	}
	return s.Source
}

// shown is a slot's name in logs.
func shown(name string) string {
	if name == slot.Default {
		return "default"
	}
	return name
}
