package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"rolecall/internal/creds"
	"rolecall/internal/usererr"
)

func TestMemoryForgets(t *testing.T) {
	m := &Memory{}
	fetched := 0
	get := func(key string, life time.Duration) {
		t.Helper()
		_, _, err := m.Update(t.Context(), key, func(creds.Credentials) bool { return true }, func(context.Context) (creds.Credentials, error) {
			fetched++
			return redisSet("ASIAX", life), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	get("a", time.Hour)
	get("a", time.Hour)
	if fetched != 1 {
		t.Fatalf("%d fetches", fetched)
	}
	m.Forget("a")
	m.Forget("nothing")
	if get("a", time.Hour); fetched != 2 {
		t.Errorf("what was forgotten was served: %d fetches", fetched)
	}
}

// Keys that are asked for once, as those of roles by URL, do not stay.
func TestMemoryIsBounded(t *testing.T) {
	m := &Memory{}
	for i := range 10_000 {
		_, _, err := m.Update(t.Context(), fmt.Sprint(i), func(creds.Credentials) bool { return true },
			func(context.Context) (creds.Credentials, error) { return creds.Credentials{}, errors.New("no") })
		if err == nil {
			t.Fatal("no error")
		}
	}
	if n := len(m.entries); n > 2*sweepAt {
		t.Errorf("%d entries are left", n)
	}
}

// TestAnOutageGivesNothingBack: a denial that lasted stands until upstream gives
// credentials again, whatever other failures come between.
func TestAnOutageGivesNothingBack(t *testing.T) {
	var d denials
	now := time.Now()
	no, down := &usererr.Error{Code: usererr.AccessDenied}, &usererr.Error{Code: usererr.Unavailable}
	if d.told("k", no, now) || !d.told("k", no, now.Add(grace)) || !d.lasting("k") {
		t.Fatal("the second denial does not last")
	}
	if d.told("k", down, now.Add(2*grace)) || !d.lasting("k") {
		t.Error("an outage has undone it")
	}
	if d.told("k", nil, now.Add(3*grace)) || d.lasting("k") {
		t.Error("it lasts although upstream gave credentials")
	}
	// In a row means in a row.
	if d.told("j", no, now) || d.told("j", down, now) || d.told("j", no, now.Add(grace)) {
		t.Error("two denials with an outage between are two in a row")
	}
}

// Denials of keys that nobody asks for any more do not stay, and those that may
// still matter do.
func TestDenialsAreBounded(t *testing.T) {
	var d denials
	now := time.Now()
	no := &usererr.Error{Code: usererr.AccessDenied}
	d.told("kept", no, now)
	for i := range 10_000 {
		d.told(fmt.Sprint("first ", i), no, now)
		d.lose(fmt.Sprint("lost ", i), now)
	}
	if !d.told("kept", no, now.Add(grace)) || !d.lasting("kept") || !d.lasting("lost 1") {
		t.Error("a denial was forgotten among others")
	}
	for i := range 30_000 {
		d.told(fmt.Sprint("second ", i), no, now.Add(sweepAfter))
	}
	if !d.lasting("lost 1") {
		t.Error("a denial was forgotten before its time")
	}
	later := now.Add(sweepAfter + time.Second)
	for i := range 60_000 {
		d.told(fmt.Sprint("third ", i), no, later)
	}
	if d.lasting("lost 1") || d.of["first 1"] != (denial{}) || !d.lasting("kept") || d.of["second 1"] == (denial{}) {
		t.Errorf("not swept, or too much: %d are left", len(d.of))
	}
}
