package config

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// decoder turns a parsed document into a Config, and goes on after a fault.
type decoder struct {
	doc    *document
	dir    string // that relative paths are relative to
	config Config
	faults []Fault
}

// field takes the value that stands at p.
type field func(p place, value any)

func (d *decoder) fault(p place, format string, args ...any) {
	d.faults = append(d.faults, newFault(p, format, args...))
}

func (d *decoder) all() { d.table(place{index: -1}, d.doc.values, d.fields()) }

func topKeys() []string {
	return slices.Sorted(maps.Keys((&decoder{}).fields()))
}

// fields are all settings there are.
func (d *decoder) fields() map[string]field {
	c := &d.config
	return map[string]field{
		"listen":              d.array(d.listen, func() { c.Listen = nil }),
		"hosts":               d.array(d.host, func() { c.Hosts = nil }),
		"metrics":             d.boolean(&c.Metrics),
		"max_connections":     d.number(&c.MaxConnections),
		"load":                d.text(func(_ place, s string) { c.Load = s }),
		"store":               d.text(func(_ place, s string) { c.Store = Store(s) }),
		"slots":               d.slots,
		"notify":              d.boolean(&c.Notify),
		"notify_before":       d.duration(&c.NotifyBefore),
		"mfa_session":         d.duration(&c.MFASession),
		"store_password_file": d.path(&c.StorePasswordFile),
		"store_ca_file":       d.path(&c.StoreCAFile),
		"imds":                d.array(d.imdsListen, func() { c.IMDS.Listen = nil }),
		"imds_v1":             d.boolean(&c.IMDS.V1),
		"imds_hop_limit":      d.number(&c.IMDS.HopLimit),
		"imds_allow":          d.array(d.network, func() { c.IMDS.Allow = nil }),
		"link_local":          d.boolean(&c.LinkLocal),
		"auth": d.section(map[string]field{
			"mode":       d.text(func(_ place, s string) { c.Auth.Mode = AuthMode(s) }),
			"allow_uids": d.array(d.user, func() {}),
		}),
		"store_sentinel_password_file": d.path(&c.StoreSentinelPasswordFile),

		"tls": d.section(map[string]field{
			"cert": d.path(&c.TLS.Cert),
			"key":  d.path(&c.TLS.Key),
		}),
		"log": d.section(map[string]field{
			"level":  d.text(d.level),
			"format": d.text(func(_ place, s string) { c.Log.Format = LogFormat(s) }),
		}),
	}
}

func (d *decoder) table(p place, values map[string]any, fields map[string]field) {
	for key, v := range values {
		if f, ok := fields[key]; ok {
			f(p.child(key), v)
		} else {
			d.fault(p.child(key), "%s", unknownKey(key, slices.Sorted(maps.Keys(fields))))
		}
	}
}

func (d *decoder) section(fields map[string]field) field {
	return func(p place, value any) {
		t, ok := value.(map[string]any)
		if !ok {
			d.wrongType(p, value, "a table, ["+p.String()+"]")
			return
		}
		d.table(p, t, fields)
	}
}

// array takes each element; begin makes room, so that even an empty array
// replaces the default.
func (d *decoder) array(element field, begin func()) field {
	return func(p place, value any) {
		list, ok := value.([]any)
		if !ok {
			d.wrongType(p, value, "an array, [ … ]")
			return
		}
		begin()
		for i, v := range list {
			element(p.element(i), v)
		}
	}
}

func (d *decoder) text(set func(place, string)) field {
	return func(p place, value any) {
		s, ok := value.(string)
		if !ok {
			d.wrongType(p, value, `a string, "…"`)
			return
		}
		if s == "" {
			d.fault(p, "is empty; write a value, or take the line out")
			return
		}
		set(p, s)
	}
}

// duration takes what time.ParseDuration does.
func (d *decoder) duration(to *time.Duration) field {
	return d.text(func(p place, s string) {
		t, err := time.ParseDuration(s)
		if err != nil {
			d.fault(p, `is no length of time; write it as "12h" or "90m"`)
			return
		}
		*to = t
	})
}

func (d *decoder) boolean(to *bool) field {
	return func(p place, value any) {
		b, ok := value.(bool)
		if !ok {
			d.wrongType(p, value, "true or false")
			return
		}
		*to = b
	}
}

func (d *decoder) path(to *string) field {
	return d.text(func(_ place, s string) {
		if !filepath.IsAbs(s) {
			s = filepath.Join(d.dir, s)
		}
		*to = s
	})
}

func (d *decoder) listen(p place, value any) {
	var a ListenAddr // in place of one that cannot be read, so that the indexes stay
	d.text(func(p place, s string) {
		var err error
		if a, err = ParseListen(s); err != nil {
			d.fault(p, "%v", err)
		}
	})(p, value)
	d.config.Listen = append(d.config.Listen, a)
}

func (d *decoder) host(p place, value any) {
	var host string
	d.text(func(_ place, s string) { host = s })(p, value)
	d.config.Hosts = append(d.config.Hosts, host)
}

// number takes a whole number. Validate knows its bounds; here it only has to
// survive as an int.
func (d *decoder) number(to *int) field {
	return func(p place, value any) {
		n, ok := value.(int64)
		if !ok {
			d.wrongType(p, value, "a number")
			return
		}
		*to = int(min(max(n, -1), math.MaxInt32))
	}
}

func (d *decoder) slots(p place, value any) {
	t, ok := value.(map[string]any)
	if !ok {
		d.wrongType(p, value, `a table, [slots], of NAME = "SOURCE"`)
		return
	}
	for _, name := range d.doc.order("slots", t) {
		at := p.child(name)
		if name == "default" {
			d.fault(at, `the default slot is not a named one: write load = "…" above the first [table], or choose another name`)
			continue
		}
		d.text(func(_ place, source string) {
			d.config.Slots = append(d.config.Slots, Slot{name, source})
		})(at, t[name])
	}
}

// user takes a uid or a user's name.
func (d *decoder) user(p place, value any) {
	switch v := value.(type) {
	case int64:
		if v < 0 || v >= math.MaxUint32 {
			d.fault(p, "%d is not a user's number", v)
			return
		}
		d.config.Auth.AllowUIDs = append(d.config.Auth.AllowUIDs, uint32(v))
	case string:
		u, err := user.Lookup(v)
		if err != nil {
			d.fault(p, "there is no user %q on this machine", v)
			return
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			d.fault(p, "user %q has no number on this system", v)
			return
		}
		d.config.Auth.AllowUIDs = append(d.config.Auth.AllowUIDs, uint32(uid))
	default:
		d.wrongType(p, value, "a user's number or name")
	}
}

func (d *decoder) level(p place, s string) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[s]
	if !ok {
		d.fault(p, `%q is not one of ["debug" "info" "warn" "error"]`, s)
		return
	}
	d.config.Log.Level = l
}

func (d *decoder) wrongType(p place, value any, want string) {
	d.fault(p, "is %s and must be %s", typeName(value), want)
}

// typeName is TOML's name for the type of a value.
func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "true or false"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return fmt.Sprintf("a %T", value)
}
