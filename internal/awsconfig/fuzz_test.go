package awsconfig

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
)

// FuzzParse checks that no text panics and that every value and fault stands
// where it is said to stand.
func FuzzParse(f *testing.F) {
	if len(sdkCases) == 0 {
		f.Fatal("no seeds")
	}
	for _, c := range sdkCases {
		f.Add([]byte(c.config), []byte(c.credentials))
	}
	f.Add([]byte("\ufeff[default]\nregion='\n[x#]\n[a=\n"), []byte("[\"\"]\n[']\n ["))
	f.Fuzz(func(t *testing.T, config, credentials []byte) {
		files, err := Parse(Paths{"config", "credentials"}, config, credentials)
		if err != nil {
			return
		}
		lines := map[string][][]byte{"config": bytes.Split(config, []byte("\n")), "credentials": bytes.Split(credentials, []byte("\n"))}
		check := func(key string, v Value) {
			if v.Line < 1 || v.Line > len(lines[v.File]) {
				t.Fatalf("%q is said to stand at %s:%d of %d", key, v.File, v.Line, len(lines[v.File]))
			}
			if !strings.Contains(strings.ToLower(string(lines[v.File][v.Line-1])), key) {
				t.Fatalf("%q does not stand at %s:%d: %q", key, v.File, v.Line, lines[v.File][v.Line-1])
			}
		}
		for _, of := range []map[string]*Section{files.profiles, files.sessions, files.services} {
			for name, s := range of {
				if s.Name != name || s.Line < 1 || s.Line > len(lines[s.File]) {
					t.Fatalf("section %q: %+v", name, s)
				}
				for _, key := range s.Keys() {
					v, ok := s.Get(key)
					if !ok {
						continue // a key whose lower case is not stable, such as "İ"
					}
					check(key, v)
					for _, n := range v.Nested {
						check(n.Key, n.Value)
					}
				}
			}
		}
		if len(files.Names()) != len(files.profiles) {
			t.Fatalf("%d names for %d profiles", len(files.Names()), len(files.profiles))
		}
		for _, fault := range files.Faults() {
			if fault.Line < 1 || fault.Line > len(lines[fault.File]) {
				t.Fatalf("fault at %s:%d", fault.File, fault.Line)
			}
		}
	})
}

// FuzzAgainstSDK checks that the SDK reads the same region and process for
// every profile, where the text has none of the few things that are read
// differently on purpose.
func FuzzAgainstSDK(f *testing.F) {
	for _, c := range sdkCases {
		f.Add(c.config, c.credentials)
	}
	f.Fuzz(func(t *testing.T, cfgText, credText string) {
		for _, text := range []string{cfgText, credText} {
			// Quotes: names are unquoted here, and a lone quote crashes the SDK.
			// "\r" and byte order marks are tolerated here. "source" and "partial"
			// key pairs are errors in the SDK.
			if strings.ContainsAny(text, "'\"\r\v\f\u0085\u00a0") || strings.Contains(text, "\ufeff") || len(text) > 4096 || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
				return
			}
		}
		dir := t.TempDir()
		p := Paths{filepath.Join(dir, "config"), filepath.Join(dir, "credentials")}
		write(t, p.Config, cfgText)
		write(t, p.Credentials, credText)
		files, err := Load(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range files.Faults() {
			if strings.HasPrefix(fault.Msg, "broken section") {
				return // the SDK gives those keys to the section above
			}
		}
		for _, name := range files.Names() {
			s, _ := files.Profile(name)
			sdk, err := config.LoadSharedConfigProfile(context.Background(), name, func(o *config.LoadSharedConfigOptions) {
				o.ConfigFiles = []string{p.Config}
				o.CredentialsFiles = []string{p.Credentials}
			})
			if err != nil {
				continue
			}
			if s.Text("region") != sdk.Region {
				t.Fatalf("profile %q: region is %q here and %q in the SDK", name, s.Text("region"), sdk.Region)
			}
			if sdk.SourceProfileName == "" && s.Text("credential_process") != sdk.CredentialProcess {
				t.Fatalf("profile %q: credential_process is %q here and %q in the SDK", name, s.Text("credential_process"), sdk.CredentialProcess)
			}
		}
	})
}
