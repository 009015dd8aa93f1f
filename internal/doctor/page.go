package doctor

import (
	"fmt"
	"strings"
)

// Table is what the SDKs do, as Markdown; docs/doctor.md holds it.
func Table() string {
	var b strings.Builder
	b.WriteString("| SDK | order | a named profile that is missing | http hosts of the URI beside the link-local ones | token | IMDS off by | through HTTP_PROXY | waits (container · IMDS) |\n|---|---|---|---|---|---|---|---|\n")
	for _, s := range SDKs() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s · %s |\n", s.Name, s.order(), s.missing(), s.Hosts.words(), s.tokenWords(),
			map[Words]string{True: "`true`", NotFalse: "all but `false`"}[s.Disabled], s.proxyWords(), s.ContainerTimeout, s.IMDSTimeout)
	}
	return b.String()
}

func (s SDK) order() string {
	var links []string
	for _, l := range s.Chain {
		word := string(l.Kind)
		if l.Kind == KindProfile {
			var ways []string
			for _, w := range l.Ways {
				ways = append(ways, string(w))
			}
			word += " (" + strings.Join(ways, ", ") + ")"
		}
		links = append(links, word)
	}
	text := strings.Join(links, " → ")
	if s.ProfileFirst {
		text += "; a named profile hides the keys"
	}
	if s.StrictFiles {
		text += "; a line in the AWS files that is no setting, or comes twice, ends it"
	}
	if s.HalfKeys {
		text += "; half a key pair ends it"
	}
	return text
}

func (s SDK) missing() string {
	return map[Then]string{Next: "goes on", Stop: "stops, where the files have any profile", Fatal: "stops before all else"}[s.Missing]
}

func (h Hosts) words() string {
	text := map[Loopback]string{AllLoopback: "127.0.0.0/8, ::1", FirstBlock: "127.0.0.0/24, ::1", IPv4Loopback: "127.0.0.0/8"}[h.Loopback]
	text += map[Names]string{Localhost: ", localhost", Resolved: ", names that resolve to these only"}[h.Names]
	if !h.V6 {
		text += "; fd00:ec2::23 in IPv6 mode only"
	}
	return text
}

func (s SDK) tokenWords() string {
	text := "file first"
	if s.TokenFirst {
		text = "**variable first**"
	}
	if s.Newline == Trimmed {
		return text + ", trimmed"
	}
	return text + ", no line break"
}

func (s SDK) proxyWords() string {
	if len(s.Proxied) == 0 {
		return "nothing"
	}
	var kinds []string
	for _, k := range s.Proxied {
		kinds = append(kinds, string(k))
	}
	if s.PlainNoProxy {
		return strings.Join(kinds, ", ") + "; also on loopback, and no networks in `NO_PROXY`"
	}
	return strings.Join(kinds, ", ")
}

// Troubleshooting is the page of symptoms, causes and fixes, as Markdown;
// docs/troubleshooting.md is this.
func Troubleshooting() string {
	t := likely()
	var b strings.Builder
	b.WriteString(`# Troubleshooting

What SDKs say when they get no credentials, what it comes from, and what to change. The causes stand in the order of
how likely they are; the command beside each tells it from the others. ` + "`rolecall doctor explain`" + ` finds the
entry for a pasted text or a whole log, and ` + "`rolecall doctor`" + ` looks at the program itself: see [doctor](doctor.md).

This page is made of the table that ` + "`explain`" + ` uses.
`)
	for _, part := range []struct {
		title    string
		symptoms []Symptom
	}{{"PHP", symptomsOfPHP(t)}, {"Python, JavaScript, Go, Java, Ruby, .NET, Rust, C++", symptomsOfOthers(t)}, {"What AWS answers", symptomsOfAWS(t)}} {
		b.WriteString("\n## " + part.title + "\n")
		for _, s := range part.symptoms {
			fmt.Fprintf(&b, "\n### %s\n\n> %s\n\nSaid by: %s.\n\n| cause | told by | fix |\n|---|---|---|\n", s.ID, cell(s.Title), s.SDKs)
			for _, c := range s.Causes {
				fmt.Fprintf(&b, "| %s | `%s` | %s |\n", cell(c.Text), c.Tell, cell(c.Fix))
			}
		}
	}
	return b.String()
}

// cell is a text that means nothing to Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "[", "\\[", "*", "\\*", "_", "\\_").Replace(text)
}
