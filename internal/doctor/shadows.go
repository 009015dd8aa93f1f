package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"rolecall/internal/shellword"
)

// shadows finds what is set and hidden by something that goes before it, and
// where SDKs would differ.
func (v *view) shadows(walks []Walk) []Result {
	var found []Result
	warn := func(cause, summary string, evidence []Evidence, fixes ...Fix) {
		found = append(found, Result{Check: "shadows", Outcome: Warning, Cause: cause, Summary: summary, Evidence: evidence, Fixes: fixes})
	}
	relative, full := v.Env.Get(varRelative), v.Env.Get(varFull)
	endpoint := relative != "" || full != ""
	identity := v.Env.Get(varIdentity) != "" && v.Env.Get(varRole) != ""
	if relative != "" && full != "" {
		warn("container.relative-hides-full", varRelative+" hides "+varFull+": every SDK takes the relative one",
			[]Evidence{v.value(varRelative), v.value(varFull)},
			Fix{Text: "if the relative one was inherited from a task, unset it", Command: "unset " + varRelative})
	}
	matched := func(kind Kind, way ...Way) int {
		return countWalks(walks, func(w Walk) bool {
			m := w.Match()
			return m != nil && m.Kind == kind && m.State == Taken && (len(way) == 0 || slices.Contains(way, m.Way))
		})
	}
	switch {
	case matched(KindKeys) > 0 && (endpoint || identity):
		hidden := "the container credentials endpoint"
		if !endpoint {
			hidden = "the web identity token"
		}
		warn("env.keys-hide", "the keys in the environment hide "+hidden+", and are never renewed",
			[]Evidence{v.isSet(varKeyID), v.isSet(varSecret)}, Fix{Command: "unset " + varKeyID + " " + varSecret + " " + varSession})
	case identity && endpoint && matched(KindIdentity) > 0:
		warn("env.identity-hides", varIdentity+" hides the container credentials endpoint",
			[]Evidence{v.value(varIdentity), v.value(varFull)}, Fix{Text: "keep one of both", Command: "unset " + varIdentity + " " + varRole})
	case endpoint && matched(KindProfile) > 0:
		v.profileHides(walks, warn)
	}
	v.tokens(walks, warn)
	if len(found) == 0 {
		v.differ(walks, warn)
	}
	v.smaller(walks, matched(KindIMDS), warn)
	return found
}

func countWalks(walks []Walk, is func(Walk) bool) (n int) {
	for _, w := range walks {
		if is(w) {
			n++
		}
	}
	return n
}

func (v *view) profileHides(walks []Walk, warn func(string, string, []Evidence, ...Fix)) {
	for _, w := range walks {
		m := w.Match()
		if m == nil || m.Kind != KindProfile || m.State != Taken {
			continue
		}
		name, variable, section := v.profile(w.SDK)
		if variable != "" {
			warn("env.profile-hides", variable+" hides the container credentials endpoint", []Evidence{v.value(variable)}, Fix{Command: "unset " + variable})
		} else {
			warn("profile.default-hides", "the profile ["+name+"] hides the container credentials endpoint",
				[]Evidence{{Where: fmt.Sprintf("%s:%d", section.File, section.Line), Text: "gives credentials, and every SDK looks there first"}},
				Fix{Text: "give that profile another name, or hide the files", Command: "export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null"})
		}
		return
	}
}

// tokens finds an authorization token and a token file that differ: Java sends
// the first, all others the second.
func (v *view) tokens(walks []Walk, warn func(string, string, []Evidence, ...Fix)) {
	text, file := v.Env.Get(varToken), v.Env.Get(varTokenFile)
	if text == "" || file == "" {
		return
	}
	inFile, err := v.readSmall(file)
	if err != nil || inFile == text {
		return
	}
	var first []string
	for _, w := range walks {
		if w.SDK.TokenFirst {
			first = append(first, w.SDK.Name)
		}
	}
	if len(first) > 0 {
		warn("container.tokens-differ", strings.Join(first, ", ")+" sends "+varToken+", the others send the file: they differ",
			[]Evidence{v.isSet(varToken), {Where: varTokenFile, Text: file}}, Fix{Text: "set only one", Command: "unset " + varToken})
	}
}

// differ finds SDKs that would take different credentials.
func (v *view) differ(walks []Walk, warn func(string, string, []Evidence, ...Fix)) {
	groups, order := map[string][]string{}, []string(nil)
	for _, w := range walks {
		m := w.Match()
		if m == nil || m.State != Taken || w.lacks() {
			continue
		}
		first := string(m.Kind)
		if m.Kind == KindProfile {
			name, _, _ := v.profile(w.SDK)
			first = "profile " + name
		}
		if groups[first] == nil {
			order = append(order, first)
		}
		groups[first] = append(groups[first], w.SDK.Name)
	}
	if len(order) < 2 {
		return
	}
	var evidence []Evidence
	for _, first := range order {
		evidence = append(evidence, Evidence{Where: first, Text: strings.Join(groups[first], ", ")})
	}
	warn("chain.differ", "SDKs would take different credentials here", evidence, Fix{Text: "leave only one of them set"})
}

// smaller are things to know of, which alone break nothing everywhere.
func (v *view) smaller(walks []Walk, imds int, warn func(string, string, []Evidence, ...Fix)) {
	if id, there := v.Env.Lookup(varKeyID); there && id == "" {
		warn("env.empty-keys", varKeyID+" is set to nothing: SDKs pass it over, but configurations that copy it hand on empty keys",
			[]Evidence{{Text: "Laravel's config files do so with env('AWS_ACCESS_KEY_ID')"}}, Fix{Text: "unset it instead", Command: "unset " + varKeyID + " " + varSecret})
	}
	if off := v.Env.Get(varIMDSOff); off != "" && imds > 0 && !strings.EqualFold(off, "true") && !strings.EqualFold(off, "false") {
		warn("imds.disabled-word", varIMDSOff+" is neither true nor false: only JavaScript takes it for yes",
			[]Evidence{v.value(varIMDSOff)}, Fix{Text: "write true or false"})
	}
	v.proxies(walks, warn)
	if _, region := v.Env.First("AWS_REGION", "AWS_DEFAULT_REGION"); region == "" && len(walks) > 0 {
		if _, named, section := v.profile(walks[0].SDK); section.Text("region") == "" && (named == "" || !errors.Is(v.filesErr, errUnseen)) {
			warn("region.missing", "no region is set: most services then fail with \"you must specify a region\"",
				[]Evidence{v.isSet("AWS_REGION"), v.isSet("AWS_DEFAULT_REGION")}, Fix{Command: "export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1"})
		}
	}
}

// proxies finds requests to the endpoints of this machine and of link-local
// addresses that some SDKs would send to a proxy, which cannot answer them.
func (v *view) proxies(walks []Walk, warn func(string, string, []Evidence, ...Fix)) {
	name, proxy := v.Env.First("http_proxy", "HTTP_PROXY")
	if proxy == "" {
		return
	}
	var hit []string
	host, set, except := "", "", ""
	for _, w := range walks {
		m := w.Match()
		if m == nil || m.State != Taken || !slices.Contains(w.SDK.Proxied, m.Kind) {
			continue
		}
		names := []string{"NO_PROXY", "no_proxy"}
		if w.SDK.PlainNoProxy {
			slices.Reverse(names)
		}
		variable, value := v.Env.First(names...)
		u, err := url.Parse(m.URL)
		if err != nil || u.Scheme != "http" || w.SDK.exempt(u.Hostname(), value) {
			continue
		}
		host, set, except = u.Hostname(), variable, value
		hit = append(hit, w.SDK.Name)
	}
	if len(hit) == 0 {
		return
	}
	list := "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23"
	if !strings.Contains(list, host) {
		list = host + "," + list
	}
	if except != "" {
		list = except + "," + list
	}
	warn("proxy.catches", strings.Join(hit, ", ")+" would ask the proxy for "+host+", which it cannot reach",
		[]Evidence{{Where: name, Text: shownURL(proxy)}, v.value(cmp.Or(set, "NO_PROXY"))},
		Fix{Text: "name the address", Command: fmt.Sprintf("export NO_PROXY=%[1]s no_proxy=%[1]s", shellword.Word(list))})
}

// exempt says whether the SDK asks a host without the proxy.
func (s SDK) exempt(host, except string) bool {
	addr, err := netip.ParseAddr(host)
	if !s.PlainNoProxy && (strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()) {
		return true
	}
	for _, one := range strings.Split(except, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || one != "" && (strings.EqualFold(one, host) || strings.HasSuffix(strings.ToLower(host), "."+strings.TrimPrefix(strings.ToLower(one), "."))) {
			return true
		}
		if p, perr := netip.ParsePrefix(one); perr == nil && err == nil && !s.PlainNoProxy && p.Contains(addr) {
			return true
		}
	}
	return false
}
