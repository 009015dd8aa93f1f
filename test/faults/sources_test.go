package faults_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rolecall/internal/fakeaws"
	"rolecall/internal/source"
	"rolecall/internal/usererr"
)

// sources are those of a user with a fake AWS, without a daemon.
type sources struct {
	t    *testing.T
	aws  *fakeaws.Server
	home string
	env  map[string]string
	*source.Resolver
}

func newSources(t *testing.T, c fakeaws.Config) *sources {
	t.Helper()
	aws, err := fakeaws.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	s := &sources{t: t, aws: aws, home: t.TempDir(), env: map[string]string{}}
	cfg, cred, err := aws.WriteProfiles(filepath.Join(s.home, ".aws"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(aws.Environ(), "AWS_CONFIG_FILE="+cfg, "AWS_SHARED_CREDENTIALS_FILE="+cred, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+aws.ContainerURL("task")) {
		k, v, _ := strings.Cut(e, "=")
		s.env[k] = v
	}
	s.Resolver = source.New(source.Config{Home: s.home, Getenv: func(k string) string { return s.env[k] }})
	return s
}

// fails is the error of a source that must fail.
func (s *sources) fails(text string) *usererr.Error {
	s.t.Helper()
	src, err := s.Resolve(text)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = src.Provider.Retrieve(s.t.Context())
	if err == nil {
		s.t.Fatalf("%s did not fail", text)
	}
	return usererr.From(err)
}
