package endpoint

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rolecall/internal/peercred"
)

func TestTokenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTokens()
		own := holderOf(peercred.Peer{UID: 1000, Known: true}, netip.Addr{})
		for _, ttl := range []time.Duration{time.Second, 300 * time.Second, 6 * time.Hour} {
			token := k.issue(ttl, own)
			var conn opened // which showed it before, and another that did not
			time.Sleep(ttl - time.Nanosecond)
			for range 2 { // opened, and from the connection's memory
				if !k.knows(token, own, &conn) {
					t.Errorf("ended before %v", ttl)
				}
			}
			time.Sleep(time.Nanosecond)
			if k.knows(token, own, &conn) || k.knows(token, own, new(opened)) {
				t.Errorf("good after %v", ttl)
			}
		}
	})
}

func TestTokenIsTheHolders(t *testing.T) {
	k := newTokens()
	addr := netip.MustParseAddr("172.17.0.2")
	holders := []holder{holderOf(peercred.Peer{UID: 0, Known: true}, addr), holderOf(peercred.Peer{UID: 1000, Known: true}, addr), holderOf(peercred.Peer{UID: 1000}, addr),
		holderOf(peercred.Peer{}, netip.MustParseAddr("172.17.0.3")), holderOf(peercred.Peer{}, netip.MustParseAddr("fd00::2"))}
	for i, a := range holders {
		token := k.issue(time.Hour, a)
		for j, b := range holders {
			if k.knows(token, b, new(opened)) != (i == j) {
				t.Errorf("the token of %x and %x", a, b)
			}
		}
		var conn opened
		if !k.knows(token, a, &conn) || k.knows(strings.Repeat("\x00", len(token)), a, new(opened)) {
			t.Error("a token is not known, or none is")
		}
		for at := range token { // each character counts, on a connection that showed the right ones too
			for _, with := range []string{"A", "-", "="} {
				if other := token[:at] + with + token[at+1:]; other != token && (k.knows(other, a, &conn) || k.knows(other, a, new(opened))) {
					t.Errorf("%s was taken for %s", other, token)
				}
			}
		}
		if newTokens().knows(token, a, new(opened)) {
			t.Error("another daemon knows it")
		}
	}
}

// Issuing and knowing tokens keeps nothing: no memory is left however many there
// are, and the first one goes on working.
func TestTokensAreNotKept(t *testing.T) {
	k := newTokens()
	own := holderOf(peercred.Peer{UID: 1000, Known: true}, netip.Addr{})
	first := k.issue(time.Hour, own)
	if n := testing.AllocsPerRun(1000, func() {
		if !k.knows(first, own, &opened{}) {
			t.Fatal("unknown")
		}
	}); n > 0 {
		t.Errorf("%v allocations to know a token", n)
	}
	for range 300_000 {
		k.issue(time.Hour, own)
	}
	if !k.knows(first, own, new(opened)) {
		t.Error("the first of 300,000 tokens is gone")
	}
}

func TestRoleNameFor(t *testing.T) {
	for _, c := range []struct {
		candidates []string
		want       string
	}{
		{[]string{"dev"}, "dev"}, {[]string{"", "arn-role_1.x+=,@"}, "arn-role_1.x+=,@"}, {nil, "rolecall"}, {[]string{""}, "rolecall"},
		{[]string{"a b", "ok"}, "ok"}, {[]string{"a\nb", "../x", "..", ".", strings.Repeat("x", 65), "é", "role:arn:aws:iam::1:role/x"}, "rolecall"},
	} {
		if got := RoleNameFor(c.candidates...); got != c.want {
			t.Errorf("%q: %q", c.candidates, got)
		}
	}
}

func FuzzMetadataTarget(f *testing.F) {
	for _, s := range []string{"/", "//", "/latest", "/latest/meta-data/iam/security-credentials/dev", "//latest/meta-data/iam/security-credentials", "/1.0/api/token", "/latest/%zz",
		"/latest/meta-data/iam/security-credentials/..%2f", "/latest/meta-data/iam/security-credentials/%00", "/latest/dynamic/instance-identity/document/", "/2021-07-15/meta-data/services/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		got := metadataTarget(u)
		_ = got.Kind.String()
		switch got.Kind {
		case Unknown, MetadataToken, MetadataRole:
			if got.Name != "" {
				t.Errorf("%q: %v has the name %q", path, got.Kind, got.Name)
			}
		case MetadataCredentials:
			if got.Name == "" || strings.Contains(got.Name, "/") || !strings.Contains(u.Path, got.Name) {
				t.Errorf("%q: the role %q", path, got.Name)
			}
		case MetadataItem:
			if _, ok := (Instance{Region: "eu-west-1"}).item(got.Name); !ok && got.Name != "meta-data/iam/info" {
				t.Errorf("%q: the item %q is not one of ours", path, got.Name)
			}
		default:
			t.Errorf("%q is of the kind %v", path, got.Kind)
		}
	})
}

// No text is a token but those that were issued, and no TTL is taken but those
// in bounds.
func FuzzIMDSToken(f *testing.F) {
	k := newTokens()
	own := holderOf(peercred.Peer{UID: 1000, Known: true}, netip.Addr{})
	issued := k.issue(time.Hour, own)
	for _, s := range []string{"", "1", "0", "-1", "21600", "21601", "abc", strings.Repeat("A", 56), strings.Repeat("A", 54) + "==", "\x00", strings.Repeat("9", 10<<10)} {
		f.Add(s)
	}
	var conn opened
	k.knows(issued, own, &conn)
	f.Fuzz(func(t *testing.T, s string) {
		seen := conn
		if (k.knows(s, own, &seen) || k.knows(s, own, new(opened))) && s != issued {
			t.Errorf("%q was taken for a token", s)
		}
		n, ok := parseTTL(s)
		if ok && (n < 1 || n > 21600 || strings.Trim(s, "0123456789") != "") {
			t.Errorf("TTL %q is %d", s, n)
		}
	})
}
