package cli

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"rolecall/internal/awsconfig"
)

// aliasOf is all that can change what a source's text means, without reading
// it: the environment's AWS variables, and which version of the AWS files, of
// our configuration and of our SSO sessions there is. When any of it changes, the alias is another,
// and the source is resolved anew.
func (p *process) aliasOf(text string) string {
	parts := []string{"process", text, p.home()}
	for _, v := range p.environ() {
		if strings.HasPrefix(v, "AWS_") {
			parts = append(parts, v)
		}
	}
	slices.Sort(parts[3:])
	paths := awsconfig.DefaultPaths(p.getenv, p.home())
	config := p.getenv("ROLECALL_CONFIG")
	if config == "" {
		config = p.dirs.Config
	}
	for _, path := range []string{paths.Config, paths.Credentials, config, p.dirs.SSOSessions()} {
		parts = append(parts, path, version(path))
	}
	return strings.Join(parts, "\x00")
}

// version changes when the file does.
func version(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "none"
	}
	return strconv.FormatInt(info.Size(), 36) + "." + strconv.FormatInt(info.ModTime().UnixNano(), 36)
}
