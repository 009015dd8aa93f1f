package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rolecall/internal/creds"
)

// KeySize is the length of the store key in bytes.
const KeySize = 32

// The layout of a sealed entry: magic (4 bytes), format version (1), key id
// (8), and what AES-256-GCM made of the record: nonce (12), text, tag (16).
const (
	magic      = "rcst"
	version    = 1
	keyIDSize  = 8
	headerSize = len(magic) + 1 + keyIDSize
	maxSealed  = 256 << 10 // an entry above it is none of ours
)

// Reasons why an entry is a miss. None of them tells more than its text.
var (
	ErrForeign  = errors.New("not an entry of a rolecall store")
	ErrVersion  = errors.New("written in another format, by another version of rolecall")
	ErrOtherKey = errors.New("sealed with another key")
	ErrCorrupt  = errors.New("damaged, or not the entry of that name")
)

// Sealer seals credentials so that only who has the store key can read them,
// and so that an entry is good under its own name only. It is safe for
// concurrent use.
type Sealer struct {
	aead  cipher.AEAD
	names []byte // key of the hash that makes names
	id    [keyIDSize]byte
}

// NewSealer derives what it needs from the store key of KeySize bytes (HKDF
// with SHA-256): one key for entries, one for names, and the key's id.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the store key has %d bytes, not %d", len(key), KeySize)
	}
	secret, err := hkdf.Extract(sha256.New, key, []byte("rolecall store"))
	if err != nil {
		return nil, err
	}
	derive := func(purpose string, n int) (out []byte) {
		if err == nil {
			out, err = hkdf.Expand(sha256.New, secret, "rolecall store 1 "+purpose, n)
		}
		return out
	}
	entries, names, id := derive("entries", 32), derive("names", 32), derive("key id", keyIDSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(entries)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, names: names, id: [keyIDSize]byte(id)}, nil
}

// KeyID names the store key without telling it: 16 hexadecimal digits.
func (s *Sealer) KeyID() string { return hex.EncodeToString(s.id[:]) }

// Name is the entry's name for a slot's key: a keyed hash of 32 hexadecimal
// digits, that tells nothing of the key.
func (s *Sealer) Name(key string) string {
	h := hmac.New(sha256.New, s.names)
	h.Write([]byte(key))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// record is the sealed text: strings only, see Open.
type record struct {
	AccessKeyID     string    `json:"k"`
	SecretAccessKey string    `json:"s"`
	SessionToken    string    `json:"t,omitempty"`
	Expires         time.Time `json:"e,omitzero"`
	AccountID       string    `json:"a,omitempty"`
	RoleARN         string    `json:"r,omitempty"`
	RoleName        string    `json:"n,omitempty"`
	Source          string    `json:"o,omitempty"`
	ObservedAt      time.Time `json:"d,omitzero"`
}

// Seal returns c sealed for the entry called name. The result differs each
// time, and holds nothing readable but the format and the key's id.
func (s *Sealer) Seal(name string, c creds.Credentials) ([]byte, error) {
	text, err := json.Marshal(record{c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal(), c.Expires.UTC(),
		c.AccountID, c.RoleARN, c.RoleName, c.Source, c.ObservedAt.UTC()})
	if err != nil {
		return nil, errors.New("the credentials cannot be encoded") // err may quote them
	}
	header := s.header()
	return s.aead.Seal(header, nil, text, associated(header, name)), nil
}

// Open returns the credentials in the entry called name. Its errors are
// ErrForeign, ErrVersion, ErrOtherKey and ErrCorrupt.
func (s *Sealer) Open(name string, sealed []byte) (creds.Credentials, error) {
	switch header := s.header(); {
	case len(sealed) < len(magic)+1 || len(sealed) > maxSealed || string(sealed[:len(magic)]) != magic:
		return creds.Credentials{}, ErrForeign
	case sealed[len(magic)] != version:
		return creds.Credentials{}, ErrVersion
	case len(sealed) < headerSize+s.aead.Overhead():
		return creds.Credentials{}, ErrCorrupt
	case !bytes.Equal(sealed[:headerSize], header):
		return creds.Credentials{}, ErrOtherKey
	}
	text, err := s.aead.Open(nil, nil, sealed[headerSize:], associated(sealed[:headerSize], name))
	if err != nil {
		return creds.Credentials{}, ErrCorrupt
	}
	// A map and not the record: what encoding/json works out about a struct at its
	// first use takes a short-lived process longer than all the rest here.
	var r map[string]string
	if json.Unmarshal(text, &r) != nil {
		return creds.Credentials{}, ErrCorrupt
	}
	expires, err := moment(r["e"])
	observed, err2 := moment(r["d"])
	c := creds.Credentials{AccessKeyID: r["k"], SecretAccessKey: creds.NewSecret(r["s"]), SessionToken: creds.NewSecret(r["t"]),
		Expires: expires, AccountID: r["a"], RoleARN: r["r"], RoleName: r["n"], Source: r["o"], ObservedAt: observed}
	if err != nil || err2 != nil || c.Check() != nil {
		return creds.Credentials{}, ErrCorrupt
	}
	return c, nil
}

// moment reads a time of the record; none is the zero time.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

func (s *Sealer) header() []byte {
	b := make([]byte, 0, headerSize+512)
	b = append(b, magic...)
	b = append(b, version)
	return append(b, s.id[:]...)
}

// associated is what the seal covers beside the text: format, version, key id
// and the entry's name.
func associated(header []byte, name string) []byte {
	return append(bytes.Clone(header), name...)
}
