package daemon

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rolecall/internal/endpoint"
)

const longestField = 256 // bytes of what a client sent, e.g. its User-Agent

// append adds one record as one line, in the shape that log/slog gives its
// lines, encoded by hand: the JSON handler would cost as much as the answer.
func (a *auditor) append(b []byte, r *endpoint.Record) []byte {
	l := line{b, a.json, true}
	if a.json {
		l.b = append(l.b, '{')
	}
	l.stamp(a, r.Time)
	if r.Expires.IsZero() { // it may hold what the client made up, which is not kept
		l.answer(a, r)
	} else {
		if what := whatOf(r); what != a.what {
			kept := line{a.told[:0], a.json, false}
			kept.answer(a, r)
			a.what, a.told = what, kept.b
		}
		l.b = append(l.b, a.told...)
	}
	if r.Remote.IsValid() {
		l.key("remote")
		l.b = append(l.b, '"')
		l.b = r.Remote.AppendTo(l.b)
		l.b = append(l.b, '"')
	}
	if r.Agent != "" {
		l.text("agent", r.Agent)
	}
	if a.json {
		l.b = append(l.b, '}')
	}
	return append(l.b, '\n')
}

// whatOf is a record without what is its own: requests come in runs that
// otherwise say the same, which is then encoded once.
func whatOf(r *endpoint.Record) endpoint.Record {
	what := *r
	what.Time, what.Remote, what.Agent, what.Peer.Inode = time.Time{}, netip.AddrPort{}, "", 0
	return what
}

// answer adds what was answered and to whom.
func (l *line) answer(a *auditor, r *endpoint.Record) {
	l.text("level", severity(r).String())
	l.text("msg", message(r))
	l.text("endpoint", r.Endpoint)
	l.text("method", r.Method)
	l.text("target", r.Target.Kind.String())
	if r.Target.Name != "" {
		l.text("name", a.masked(r.Target.Name))
	}
	if r.IMDSv1 {
		l.number("imds_version", 1)
	}
	l.text("outcome", r.Outcome)
	l.number("status", int64(r.Status))
	if !r.Expires.IsZero() {
		l.time("expires", r.Expires.UTC(), time.RFC3339)
	}
	if r.Peer.Known {
		l.number("uid", int64(r.Peer.UID))
	}
	if r.Peer.PID != 0 {
		l.number("pid", int64(r.Peer.PID))
		l.text("program", r.Peer.Program)
	}
}

// longestRun is how many letters and digits in a row a name may have in the log.
// AWS's secrets and tokens have more, and names of people's making have not.
const longestRun = 35

// masked is a name without what a client put in a URL by mistake: our own
// authorization token, and what looks like a key or token of AWS's.
func (a *auditor) masked(name string) string {
	if !a.token.IsZero() {
		name = strings.ReplaceAll(name, a.token.Reveal(), hiddenText)
	}
	if len(name) <= longestRun {
		return name
	}
	var out strings.Builder
	for name != "" {
		n := 0
		for n < len(name) && inSecrets(name[n]) {
			n++
		}
		if n > longestRun {
			out.WriteString(hiddenText)
		} else {
			n = min(n+1, len(name)) // with the character that ended it
			out.WriteString(name[:n])
		}
		name = name[n:]
	}
	return out.String()
}

const hiddenText = "[redacted]"

func inSecrets(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '+' || c == '/' || c == '='
}

// message is what a person searches the log for.
func message(r *endpoint.Record) string {
	switch {
	case !r.Expires.IsZero():
		return "credentials"
	case r.Denied():
		return "denied"
	}
	return "request"
}

// line is one log line in the making.
type line struct {
	b     []byte
	json  bool
	first bool
}

func (l *line) key(k string) {
	switch {
	case l.first:
		l.first = false
	case l.json:
		l.b = append(l.b, ',')
	default:
		l.b = append(l.b, ' ')
	}
	if l.json {
		l.b = append(l.b, '"')
		l.b = append(l.b, k...)
		l.b = append(l.b, '"', ':')
		return
	}
	l.b = append(l.b, k...)
	l.b = append(l.b, '=')
}

func (l *line) number(k string, n int64) {
	l.key(k)
	l.b = strconv.AppendInt(l.b, n, 10)
}

// stamp adds the time. The part that changes once a second is formatted once a
// second.
func (l *line) stamp(a *auditor, t time.Time) {
	if second := t.Unix(); second != a.second {
		layout := time.TimeOnly
		if a.json {
			layout, t = "2006-01-02T15:04:05", t.UTC()
		}
		a.second, a.stamp = second, t.AppendFormat(a.stamp[:0], layout)
	}
	l.key("time")
	if !l.json {
		l.b = append(l.b, a.stamp...)
		return
	}
	micros := t.Nanosecond() / 1000
	l.b = append(l.b, '"')
	l.b = append(l.b, a.stamp...)
	l.b = append(l.b, '.', digit(micros/100000), digit(micros/10000), digit(micros/1000), digit(micros/100), digit(micros/10), digit(micros), 'Z', '"')
}

func digit(n int) byte { return '0' + byte(n%10) }

func (l *line) time(k string, t time.Time, layout string) {
	l.key(k)
	if l.json {
		l.b = append(l.b, '"')
	}
	l.b = t.AppendFormat(l.b, layout)
	if l.json {
		l.b = append(l.b, '"')
	}
}

// text adds a value that may be anybody's: cut, quoted, and with everything
// escaped that is not printable ASCII, so that a record stays one line and no
// terminal obeys it.
func (l *line) text(k, v string) {
	l.key(k)
	if len(v) > longestField {
		v = v[:longestField]
	}
	if !l.json && plain(v) {
		l.b = append(l.b, v...)
		return
	}
	l.b = append(l.b, '"')
	for i := 0; i < len(v); {
		c := v[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			l.b = append(l.b, c)
			i++
			continue
		}
		if c == '"' || c == '\\' {
			l.b = append(l.b, '\\', c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(v[i:])
		i += n
		l.b = appendEscape(l.b, r)
	}
	l.b = append(l.b, '"')
}

// appendEscape is \uXXXX, in pairs beyond the basic plane, as JSON has it.
func appendEscape(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		b = append(b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	if r > 0xffff {
		r -= 0x10000
		unit(0xd800 + r>>10)
		unit(0xdc00 + r&0x3ff)
		return b
	}
	unit(r)
	return b
}

func plain(v string) bool {
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\' {
			return false
		}
	}
	return v != ""
}
