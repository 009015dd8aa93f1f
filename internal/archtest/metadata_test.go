package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metadataFault is what is wrong with a text that tests run: it switches the
// instance metadata service on for a program, which then asks the machine's own
// at 169.254.169.254, unless it names another or a network of its own.
func metadataFault(text string) string {
	on := regexp.MustCompile(`AWS_EC2_METADATA_DISABLED(=|": *"|", *")(?i:false|"|\n)|"-AWS_EC2_METADATA_DISABLED"|(unset|-u) AWS_EC2_METADATA_DISABLED`)
	found := on.FindString(text)
	if found == "" || strings.Contains(text, "AWS_EC2_METADATA_SERVICE_ENDPOINT") || strings.Contains(text, `"unshare"`) {
		return ""
	}
	return "has " + strings.TrimSpace(found) + " and neither AWS_EC2_METADATA_SERVICE_ENDPOINT nor a network namespace of its own: no test may reach the metadata service of the machine it runs on"
}

func TestMetadataFaults(t *testing.T) {
	for text, good := range map[string]bool{
		`s.Set("AWS_EC2_METADATA_DISABLED=false")`:                                           false,
		"env AWS_EC2_METADATA_DISABLED=\nexec aws":                                           false,
		`t.Setenv("AWS_EC2_METADATA_DISABLED", "false")`:                                     false,
		`t.Setenv("AWS_EC2_METADATA_DISABLED", "")`:                                          false,
		`map[string]string{"AWS_EC2_METADATA_DISABLED": "FALSE"}`:                            false,
		`env := append(env, "-AWS_EC2_METADATA_DISABLED")`:                                   false,
		"unset AWS_EC2_METADATA_DISABLED":                                                    false,
		`"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + fake.URL`: true,
		`exec.Command("unshare", "-n"); s.Set("AWS_EC2_METADATA_DISABLED=false")`:            true,
		`s.Set("AWS_EC2_METADATA_DISABLED=true")`:                                            true,
		`t.Setenv("AWS_EC2_METADATA_DISABLED", "true")`:                                      true,
		`if getenv("AWS_EC2_METADATA_DISABLED") == "" {`:                                     true,
	} {
		if fault := metadataFault(text); (fault == "") != good {
			t.Errorf("%s: %q", text, fault)
		}
	}
}

// Every test, and every program and script of tests.
func TestNoTestReachesTheMachinesMetadata(t *testing.T) {
	root, seen := filepath.Join("..", ".."), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "bin", "dist", "archtest", "fuzz"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "test/") && !strings.Contains(name, "/testdata/") && name != "docs/mock.md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if fault := metadataFault(string(text)); fault != "" {
			t.Errorf("%s %s", name, fault)
		}
		return nil
	})
	if err != nil || seen < 300 {
		t.Errorf("%d files: is this test looking in the right place? %v", seen, err)
	}
}
