package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/test/faults"
)

func TestSealAndOpen(t *testing.T) {
	s := newSealer(t, 1)
	want := sample(1)
	sealed, err := s.Seal(s.Name("dev"), want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Open(s.Name("dev"), sealed)
	if err != nil || got.String() != want.String() || got.SecretAccessKey.Reveal() != want.SecretAccessKey.Reveal() ||
		got.SessionToken.Reveal() != want.SessionToken.Reveal() || !got.Expires.Equal(want.Expires) || !got.ObservedAt.Equal(want.ObservedAt) || got.RoleARN != want.RoleARN {
		t.Errorf("%v, %v", got, err)
	}
	if again, _ := s.Seal(s.Name("dev"), want); bytes.Equal(again, sealed) {
		t.Error("two seals are equal")
	}
	if strings.Contains(string(sealed), canary) || strings.Contains(string(sealed), "ASIA") {
		t.Error("readable")
	}
	if s.KeyID() == newSealer(t, 2).KeyID() || len(s.KeyID()) != 16 || strings.Contains(hex.EncodeToString(key(1)), s.KeyID()) {
		t.Error("key id", s.KeyID())
	}
	if !isName(s.Name("")) || s.Name("a") == s.Name("b") || s.Name("a") == newSealer(t, 2).Name("a") {
		t.Error("names")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes", n)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s, other := newSealer(t, 1), newSealer(t, 2)
	name := s.Name("dev")
	sealed, err := s.Seal(name, sample(1))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := other.Seal(name, sample(1))
	if err != nil {
		t.Fatal(err)
	}
	partial, err := s.Seal(name, creds.Credentials{AccessKeyID: "ASIAX"})
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Clone(sealed)
	newer[len(magic)] = version + 1
	for what, tt := range map[string]struct {
		name   string
		sealed []byte
		want   error
	}{
		"empty":            {name, nil, ErrForeign},
		"text":             {name, []byte("{}\n{}\n"), ErrForeign},
		"another program":  {name, append([]byte("Salt"), sealed[4:]...), ErrForeign},
		"too large":        {name, append(bytes.Clone(sealed), make([]byte, maxSealed)...), ErrForeign},
		"newer version":    {name, newer, ErrVersion},
		"header only":      {name, sealed[:headerSize], ErrCorrupt},
		"without its end":  {name, sealed[:len(sealed)-1], ErrCorrupt},
		"longer":           {name, append(bytes.Clone(sealed), 0), ErrCorrupt},
		"another key":      {name, mine, ErrOtherKey},
		"another's entry":  {s.Name("prod"), sealed, ErrCorrupt},
		"incomplete":       {name, partial, ErrCorrupt},
		"key id exchanged": {name, append(append([]byte{}, sealed[:5]...), mine[5:]...), ErrOtherKey},
	} {
		if c, err := s.Open(tt.name, tt.sealed); !errors.Is(err, tt.want) || c.AccessKeyID != "" {
			t.Errorf("%s: %v, want %v", what, err, tt.want)
		}
	}
}

// No change of any kind to a sealed entry is accepted: every bit, every
// truncation, and random ones up to the number.
func TestNoMutationIsAccepted(t *testing.T) {
	s := newSealer(t, 1)
	name := s.Name("dev")
	sealed, err := s.Seal(name, sample(1))
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	try := func(m []byte) {
		tried++
		if _, err := s.Open(name, m); err == nil && !bytes.Equal(m, sealed) {
			t.Errorf("accepted: %x", m)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			m := bytes.Clone(sealed)
			m[i] ^= 1 << bit
			try(m)
		}
		try(sealed[:i])
		try(sealed[i+1:])
	}
	most := 200_000
	if testing.Short() {
		most = 20_000
	}
	for tried < most {
		m := bytes.Clone(sealed)
		for range 1 + rand.IntN(4) {
			m[rand.IntN(len(m))] = byte(rand.Uint32())
		}
		try(m)
	}
	t.Logf("0 of %d mutations accepted", tried)
}

// What an earlier rolecall has kept can be read as long as the version stays.
func TestFormatStays(t *testing.T) {
	s := newSealer(t, 1)
	sealed, err := os.ReadFile("testdata/entry-v1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Open(s.Name("dev"), sealed)
	if err != nil || c.RoleName != "dev" || c.SecretAccessKey.Reveal() != canary+"secret" || !c.Expires.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%v, %v", c, err)
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, 1)
	name := s.Name("dev")
	good, err := os.ReadFile("testdata/entry-v1") // the same one in all processes of a fuzzing run
	if err != nil {
		f.Fatal(err)
	}
	f.Add(name, good)
	f.Add(name, good[:headerSize+3])
	f.Add("", good)
	f.Add(name, []byte(nil))
	f.Add(name, []byte("rcst"))
	f.Add(name, append([]byte("rcst\x02"), good[5:]...))
	f.Fuzz(func(t *testing.T, n string, sealed []byte) {
		if _, err := s.Open(n, sealed); err == nil && (n != name || !bytes.Equal(sealed, good)) {
			t.Errorf("accepted %x as %q", sealed, n)
		}
	})
}

// Whatever the entry is damaged by, it heals with one fetch, and at most three
// are set aside.
func TestDamagedEntriesHeal(t *testing.T) {
	dir := t.TempDir()
	var said []string
	f := newFile(t, dir, func(c *FileConfig) { c.Warn = func(m string) { said = append(said, m) } })
	keys := []string{"a", "b", "c", "d", "e", "f"}
	most, healed := int64(0), 0
	for i, k := range keys {
		var u upstream
		path := f.path(f.c.Sealer.Name(k), entryExt)
		for _, damage := range []func([]byte) []byte{
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { return b[:len(b)/2] },
			func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			func(b []byte) []byte { b[len(magic)]++; return b },
			func(b []byte) []byte { return []byte("Content-Type: text/html\n") },
		} {
			before := u.calls.Load()
			if _, _, err := f.Update(t.Context(), k, all, u.fetch); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, fetched, err := f.Update(t.Context(), k, all, u.fetch); err != nil || !fetched {
				t.Errorf("a damaged entry was used: %v", err)
			}
			if _, fetched, err := f.Update(t.Context(), k, all, u.fetch); err != nil || fetched {
				t.Errorf("not healed: %v", err)
			}
			most = max(most, u.calls.Load()-before)
			healed++
		}
		if n := len(f.aged(badExt)); n != min(i+1, mostBad) {
			t.Errorf("%d set aside after %d", n, i+1)
		}
	}
	if len(said) == 0 || strings.Contains(strings.Join(said, ""), canary) {
		t.Errorf("said %q", said)
	}
	leaks(t, dir)
	faults.Record(t, 27, most <= 2 && len(f.aged(badExt)) <= mostBad, "%d damaged entries (empty, cut, one bit, another version, other text) healed in 1 fetch each; %d set aside at the end; each bit of an entry flipped: 0 accepted; 0 panics (fuzzed)", healed, len(f.aged(badExt)))
}
