package doctor

import (
	"path"
	"slices"
	"strings"

	"rolecall/internal/phpfpm"
)

var nginxRoot = lazily(`(?m)^\s*root\s+("[^"]+"|'[^']+'|[^\s;]+)\s*;`)

// apps are directories of Laravel applications: those given, and those that
// nginx serves.
func (s *PHPFPM) apps() (dirs []string) {
	add := func(dir string) {
		if _, err := s.config.Tree.Stat(path.Join(dir, "artisan")); err == nil && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range s.config.Apps {
		add(path.Clean(dir))
	}
	for _, file := range s.nginxFiles() {
		text, _ := s.read(file)
		for _, m := range nginxRoot().FindAllStringSubmatch(text, 100) {
			root := strings.Trim(m[1], `"'`)
			add(root)
			add(path.Dir(root))
		}
	}
	return dirs
}

var (
	cachedKey    = lazily(`'key'\s*=>\s*'([^']*)'`)
	cachedSecret = lazily(`'secret'\s*=>\s*'([^']*)'`)
	cachedToken  = lazily(`'token'\s*=>\s*'[^']+'`)
	dotenvEmpty  = lazily(`(?m)^\s*(?:export\s+)?(AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY)\s*=\s*(?:""|'')?\s*(?:#.*)?$`)
)

// laravel is about keys that an application hands to the SDK itself, which then
// looks nowhere else.
func (s *PHPFPM) laravel() (all []Result) {
	for _, dir := range s.apps() {
		cache := path.Join(dir, "bootstrap/cache/config.php")
		if text, ok := s.read(cache); ok {
			all = append(all, cachedConfig(cache, text)...)
			continue // once cached, .env is not read any more
		}
		file := path.Join(dir, ".env")
		text, _ := s.read(file)
		if name, line := emptyKey(text); name != "" {
			r := emptyKeyFound(name, phpfpm.Place{File: file, Line: line}.String())
			r.Target = dir
			all = append(all, r)
		}
	}
	return all
}

// emptyKey is the first key that a .env file sets to nothing, and its line; ""
// where there is none.
func emptyKey(text string) (name string, line int) {
	m := dotenvEmpty().FindStringSubmatchIndex(text)
	if m == nil {
		return "", 0
	}
	return text[m[2]:m[3]], strings.Count(text[:m[2]], "\n") + 1
}

func emptyKeyFound(name, where string) Result {
	return Result{Outcome: Warning, Cause: "laravel.empty-keys", Summary: "Laravel gets an empty " + name + " from .env, and may hand it to the SDK instead of letting it look",
		Evidence: []Evidence{{Where: where, Text: name + "="}},
		Fixes:    []Fix{{Text: "remove the line (and the one of the other key)", Where: where, Command: "php artisan config:clear"}}}
}

// cachedConfig looks at what config:cache wrote: PHP's var_export of an array.
func cachedConfig(file, text string) []Result {
	clear := Fix{Text: "take key and secret out of config/*.php, or out of .env", Command: "php artisan config:clear"}
	for _, block := range cachedKey().FindAllStringSubmatchIndex(text, 1000) {
		// The secret stands next to the key, in the same array.
		near := text[block[0]:min(len(text), block[0]+600)]
		if end := strings.Index(near, "),"); end >= 0 {
			near = near[:end]
		}
		secret := cachedSecret().FindStringSubmatch(near)
		if secret == nil {
			continue
		}
		key := text[block[2]:block[3]]
		at := phpfpm.Place{File: file, Line: strings.Count(text[:block[0]], "\n") + 1}.String()
		switch {
		case key == "" || secret[1] == "":
			return []Result{{Outcome: Failed, Cause: "laravel.empty-keys", Target: path.Dir(path.Dir(path.Dir(file))), Summary: "Laravel's cached configuration hands the SDK empty keys, so it looks nowhere else",
				Evidence: []Evidence{{Where: at, Text: "'key' => ''"}}, Fixes: []Fix{clear}}}
		case strings.HasPrefix(key, "ASIA") && !cachedToken().MatchString(near):
			return []Result{{Outcome: Failed, Cause: "laravel.keys-without-token", Target: path.Dir(path.Dir(path.Dir(file))), Summary: "Laravel's cached configuration holds temporary keys without their session token",
				Evidence: []Evidence{{Where: at, Text: "'key' => 'ASIA…'"}}, Fixes: []Fix{clear}}}
		case strings.HasPrefix(key, "ASIA"):
			return []Result{{Outcome: Failed, Cause: "laravel.temporary-keys", Target: path.Dir(path.Dir(path.Dir(file))), Summary: "Laravel's cached configuration holds temporary keys: they end, and the cache does not",
				Evidence: []Evidence{{Where: at, Text: "'key' => 'ASIA…'"}}, Fixes: []Fix{clear}}}
		}
	}
	return nil
}
