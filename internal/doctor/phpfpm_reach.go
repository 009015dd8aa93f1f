package doctor

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"rolecall/internal/shellword"
)

// shadows is about variables that workers do see, one hiding another.
func (p *fpmPool) shadows(context.Context) []Result {
	sees := func(name string) bool { set, _ := p.sees(name); return set }
	var all []Result
	at := func(name string) []Evidence {
		if s, ok := p.pool.Env(name); ok {
			return []Evidence{{Where: s.Place.String(), Text: p.shownLine(s)}}
		}
		if e, ok := p.master.whoHas(name); ok {
			return []Evidence{{Where: e.Where, Text: name}}
		}
		return nil
	}
	switch key, secret := sees(varKeyID), sees(varSecret); {
	case key != secret:
		has, lacks := varKeyID, varSecret
		if secret {
			has, lacks = lacks, has
		}
		all = append(all, Result{Outcome: Failed, Cause: "php-fpm.half-key", Summary: "workers see " + has + " and not " + lacks,
			Evidence: at(has), Fixes: []Fix{{Text: "set both, or better neither: a role's credentials need no keys"}}})
	case key && (sees(varRelative) || sees(varFull)):
		all = append(all, Result{Outcome: Warning, Cause: "php-fpm.static-keys",
			Summary:  "workers use the keys in " + varKeyID + ", and not the role that the container gives them",
			Evidence: at(varKeyID), Fixes: []Fix{{Text: "take both keys away, and the SDK uses the role"}}})
	case key && !sees(varSession) && strings.HasPrefix(p.valueOf(varKeyID), "ASIA"):
		all = append(all, Result{Outcome: Failed, Cause: "php-fpm.no-session-token", Summary: "workers see temporary keys without " + varSession,
			Evidence: at(varKeyID), Fixes: []Fix{{Text: "give it on, too: " + p.line(varSession)}}})
	}
	if sees(varRelative) && sees(varFull) {
		all = append(all, Result{Outcome: Failed, Cause: "php-fpm.relative-hides-full",
			Summary:  "workers see both " + varRelative + " and " + varFull + ", and the first one wins",
			Evidence: slices.Concat(at(varRelative), at(varFull)),
			Fixes:    []Fix{{Text: "take " + varRelative + " away from the pool"}, {Command: "rolecall doctor php-fpm --use-rolecall"}}})
	}
	if set, by := p.seesAny(); set && (by == varRelative || by == varFull) {
		if files := p.homeFiles(); len(files) > 0 {
			all = append(all, Result{Outcome: Warning, Cause: "php-fpm.home-files", Summary: "workers may use " + files[0] + " and not " + by + ": the AWS SDK for PHP looks there first",
				Evidence: []Evidence{{Where: files[0], Text: "[default]"}}, Fixes: []Fix{{Text: "remove the file from the pool user's home"}}})
		}
	}
	return all
}

// valueOf is a variable's value as workers have it, from the files; never shown.
func (p *fpmPool) valueOf(name string) string {
	if p.view != nil && p.view.Vars[name].Value != "" {
		return p.view.Vars[name].Value
	}
	if s, ok := p.pool.Env(name); ok {
		if ref := s.Reference(); ref != "" {
			v, _ := p.master.given(ref)
			return v
		}
		return s.Value
	}
	v, _ := p.master.given(name)
	return v
}

// php is how the AWS SDK for PHP looks for credentials.
func php() SDK {
	for _, s := range SDKs() {
		if s.Is("php") {
			return s
		}
	}
	return SDK{}
}

// endpoint is about the URL that workers see, and the token for it.
func (p *fpmPool) endpoint(ctx context.Context) []Result {
	if set, by := p.seesAny(); !set || by != varRelative && by != varFull {
		return nil
	}
	if v := p.valueOf(varRelative); v != "" && !strings.HasPrefix(v, "/") {
		return []Result{{Outcome: Failed, Cause: "php-fpm.relative-uri", Summary: "the value of " + varRelative + " does not begin with /, so no request can be made of it",
			Evidence: p.from(varRelative), Fixes: []Fix{{Text: "set it as the container's runtime does, without quotation marks and without a host"}}}}
	}
	if set, _ := p.sees(varFull); !set {
		return nil
	}
	if found := p.url(ctx); len(found) > 0 {
		return found
	}
	return p.token()
}

func (p *fpmPool) from(name string) []Evidence {
	if s, ok := p.pool.Env(name); ok {
		return []Evidence{{Where: s.Place.String(), Text: p.shownLine(s)}}
	}
	if e, ok := p.master.whoHas(name); ok {
		return []Evidence{{Where: e.Where, Text: "has " + name}}
	}
	return nil
}

func (p *fpmPool) url(ctx context.Context) []Result {
	text := p.valueOf(varFull)
	if text == "" {
		return nil
	}
	r := Result{Outcome: Failed, Evidence: append(p.from(varFull), Evidence{Where: shownURL(text)})}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.Cause, r.Summary = "php-fpm.full-uri", "the value of "+varFull+" is no URL with http:// or https://"
		r.Fixes = []Fix{{Text: "set it to a whole URL, without quotation marks"}}
		return []Result{r}
	}
	if ok, why := php().accepts(u, "", localLookup); !ok {
		r.Cause, r.Summary = "php-fpm.full-uri-host", "the AWS SDK for PHP does not ask the host in "+varFull+": "+why
		r.Fixes = []Fix{{Text: "use 127.0.0.1, or https"}}
		return []Result{r}
	}
	if !loopback(u.Hostname(), localLookup) || p.master.Master == nil || p.master.OtherNet || p.master.offline {
		return nil // asking others is for the checks of endpoints
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		_, say := netFault(err)
		r.Cause, r.Summary = "php-fpm.endpoint-silent", "nobody serves credentials at "+shownURL(text)+": "+say
		r.Fixes = []Fix{{Text: "start what serves there", Command: "rolecall serve"}}
		return []Result{r}
	}
	_ = conn.Close()
	return nil
}

// token is about the file with the authorization token, as a worker sees it.
func (p *fpmPool) token() []Result {
	name := p.valueOf(varTokenFile)
	if p.view == nil || p.view.TokenFile == nil || name == "" {
		return nil
	}
	f := p.view.TokenFile
	user := p.view.User
	if user == "" {
		user = p.pool.Value("user")
	}
	r := Result{Outcome: Failed, Evidence: append(p.from(varTokenFile), Evidence{Where: name})}
	within, limited := p.pool.PHP("open_basedir")
	switch {
	case f.Readable && f.Size == 0:
		r.Cause, r.Summary = "php-fpm.token-file-empty", "the authorization token file is empty"
		r.Fixes = []Fix{{Text: "write the token into it"}}
	case f.Readable && f.Newline:
		r.Cause, r.Summary = "php-fpm.token-file-newline", "the authorization token file holds a line break, with which no request can be sent"
		r.Fixes = []Fix{{Text: "write it without one", Command: "printf %s \"$(cat " + shellword.Word(name) + ")\" > " + shellword.Word(name)}}
	case f.Readable:
		return nil
	case p.view.Basedir != "" && !inBasedir(p.view.Basedir, name):
		r.Cause, r.Summary = "php-fpm.open-basedir", "open_basedir keeps PHP from the authorization token file"
		if limited {
			r.Evidence = append(r.Evidence, Evidence{Where: within.Place.String(), Text: within.Text})
		}
		r.Fixes = []Fix{{Text: "add its directory to open_basedir, or put the file into a directory that is there"}}
	case f.Exists:
		r.Cause, r.Summary = "php-fpm.token-file-unreadable", "the pool's user "+user+" may not read the authorization token file"
		r.Fixes = []Fix{{Text: "let the pool's user read it, and nobody else", Command: "chown " + shellword.Word(user) + " " + shellword.Word(name) + " && chmod 400 " + shellword.Word(name)}}
	default:
		if _, err := p.master.tree.Stat(name); err == nil {
			r.Cause, r.Summary = "php-fpm.token-file-unreadable", "the pool's user "+user+" may not enter the directory of the authorization token file"
			r.Fixes = []Fix{{Text: "put it where the pool's user may read it", Command: "rolecall doctor php-fpm --use-rolecall --fix"}}
			break
		}
		r.Cause, r.Summary = "php-fpm.token-file-missing", "the authorization token file is not there"
		r.Fixes = []Fix{{Text: "correct " + varTokenFile + ", or make the file"}}
	}
	return []Result{r}
}

func inBasedir(basedir, file string) bool {
	for _, dir := range strings.Split(basedir, ":") {
		if dir != "" && strings.HasPrefix(file, dir) {
			return true
		}
	}
	return false
}
