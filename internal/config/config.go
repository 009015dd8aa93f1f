// Package config holds rolecall's own settings: what the configuration file may
// say, what holds where it says nothing, every fault in it with its line, and
// the places where rolecall keeps its files. It knows neither AWS nor the
// daemon; a slot's source is mere text here.
package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Config is the content of config.toml. Default gives the values of a file that
// says nothing; the zero Config is not valid.
type Config struct {
	// Path is the file it was read from; "": none, these are the defaults.
	Path string

	// Listen is where the HTTP endpoint listens. Empty: nowhere.
	Listen []ListenAddr

	// Hosts are further values of a request's Host header to be let in, each
	// "host" (with any listener's port) or "host:port", in lower case, beside
	// those of the listeners.
	Hosts []string

	// Metrics serves /metrics on the TCP listeners too, not only on the
	// control socket.
	Metrics bool

	// MaxConnections is how many connections may be open at once; beyond it,
	// the one that has been idle longest makes room.
	MaxConnections int

	// Load is the source of the default slot, filled at start. "": none.
	Load string

	// Slots are the named slots, filled at start, in the order of the file.
	Slots []Slot

	// Store is where credentials are kept beside the memory of the process.
	Store Store

	// StorePasswordFile and StoreCAFile belong to a Store that is a URL: the file
	// with its password (mode 0600), and certificates to trust instead of the
	// system's. Absolute once loaded; empty: none.
	StorePasswordFile, StoreCAFile string
	// StoreSentinelPasswordFile is the same for the sentinels of a
	// redis-sentinel:// URL.
	StoreSentinelPasswordFile string

	// MFASession is how long a session made with an MFA code lasts: 15 minutes to
	// 36 hours, which STS allows.
	MFASession time.Duration

	// Notify shows a notice on the desktop when a sign-in is needed.
	Notify bool

	// NotifyBefore tells that a sign-in is about to end, so long before. Zero: not.
	NotifyBefore time.Duration

	// IMDS is the instance metadata endpoint.
	IMDS IMDS

	// LinkLocal puts the addresses of AWS's own metadata and credentials
	// services on the loopback interface and serves there. Linux only.
	LinkLocal bool

	Auth Auth
	TLS  TLS
	Log  Log
}

// IMDS says where and how instance metadata is served.
type IMDS struct {
	// Listen is where. Empty: nowhere, but for what LinkLocal adds.
	Listen []ListenAddr

	// V1 answers requests without an IMDS token too.
	V1 bool

	// HopLimit is the IP TTL of what carries an IMDS token, 1 to 64, as of EC2
	// instances.
	HopLimit int

	// Allow are the networks beyond this machine whose clients are let in, by
	// their address alone. Empty: none.
	Allow []netip.Prefix
}

// Slot is a named slot and the text of its source.
type Slot struct{ Name, Source string }

// Store says where credentials are kept: one of the constants, or a URL.
type Store string

// Remote says whether s is the URL of a server.
func (s Store) Remote() bool { return strings.Contains(string(s), "://") }

const (
	StoreFile   Store = "file"   // in sealed files that all processes of the user share
	StoreMemory Store = "memory" // nowhere: they end with the process
	// Else the URL of a Redis or Valkey server that many machines share.
)

// AuthMode says who needs the authorization token.
type AuthMode string

const (
	AuthAuto  AuthMode = "auto"  // everybody but loopback clients of our own and the allowed users
	AuthToken AuthMode = "token" // everybody
	AuthNone  AuthMode = "none"  // nobody; on loopback only
)

// Auth is who is let in.
type Auth struct {
	Mode AuthMode

	// AllowUIDs are the users beside our own whose loopback connections need
	// no token in mode auto.
	AllowUIDs []uint32
}

// TLS is the certificate to serve HTTPS with: two PEM files, absolute paths
// once loaded. Both empty: plain HTTP.
type TLS struct{ Cert, Key string }

// LogFormat is how log records are written.
type LogFormat string

const (
	LogAuto LogFormat = "auto" // text on a terminal, JSON elsewhere
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Log is what is logged and how.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// DefaultListen is the address of a daemon that nothing was said to.
const DefaultListen = "127.0.0.1:4144"

// DefaultIMDSListen is where metadata is served in examples. EC2 has no such port.
const DefaultIMDSListen = "127.0.0.1:1338"

// DefaultHopLimit is that of EC2 instances.
const DefaultHopLimit = 1

// DefaultMaxConnections is how many connections may be open at once where
// nothing was said.
const DefaultMaxConnections = 4096

// Default is the configuration of a daemon that nothing was said to.
func Default() Config {
	addr, _ := ParseListen(DefaultListen)
	return Config{
		Listen:         []ListenAddr{addr},
		MaxConnections: DefaultMaxConnections,
		Store:          StoreFile,
		MFASession:     12 * time.Hour,
		IMDS:           IMDS{HopLimit: DefaultHopLimit},
		Auth:           Auth{Mode: AuthAuto},
		Log:            Log{Level: slog.LevelInfo, Format: LogAuto},
	}
}

// Sample is a configuration file that says everything, commented. Lines that
// begin with "#" and a letter are settings to be made by taking the # away;
// those of them that have a default show it.
const Sample = `# rolecall's configuration. Every setting is optional; these are the defaults.
# "rolecall config check" reads it, "rolecall reload" puts it into force.

# Where the credentials endpoint listens. Beyond loopback, every client needs
# the authorization token.
#listen = ["127.0.0.1:4144"]

# Further names that clients may call the endpoint by (the Host header), with or
# without a port.
#hosts = ["rolecall.example.internal", "host.docker.internal:4144"]

# Serve /metrics on the listeners above too. They are always on the control socket.
#metrics = false

# How many connections may be open at once. The longest idle one makes room.
#max_connections = 4096

# The source of the default slot: a profile of ~/.aws/config, or
# profile:NAME, imds, container, env, default, role:ARN, role:ARN@SOURCE.
#load = "dev"

# Where credentials are kept, so that a restart needs nobody and other processes
# share them: "file" (sealed, see "rolecall store path") or "memory" (not at all).
# Or the URL of a Redis or Valkey server that many machines share, such as
# "rediss://rolecall@cache.example:6379", with its password in a file of mode 0600
# and, where the system's certificates will not do, those to trust.
#store = "file"
#store_password_file = "redis-password"
#store_ca_file = "redis-ca.pem"
#store_sentinel_password_file = "sentinel-password"

# How long a session made with an MFA code lasts, 15m to 36h: so often somebody is
# asked for a code.
#mfa_session = "12h"

# Show a notice on the desktop when somebody has to sign in, and so long before a
# sign-in ends (it is also in the log).
#notify = false
#notify_before = "10m"

# Where the instance metadata service of EC2 is served, for programs that know no
# other; nowhere unless set. It gives the default slot's credentials to programs
# of this user and of auth.allow_uids, on this machine.
#imds = ["127.0.0.1:1338"]

# Answer version 1 of it too, which needs no token.
#imds_v1 = false

# How many networks (IP hops) an IMDS token may travel: 1 to 64.
#imds_hop_limit = 1

# Beyond this machine, e.g. for containers, the metadata service lets in whoever
# has one of these addresses. Without them it listens on loopback only.
#imds_allow = ["172.17.0.0/16"]

# Linux, as root: put 169.254.169.254, 169.254.170.2 and 169.254.170.23 on the
# loopback interface and serve metadata and credentials there, at port 80.
#link_local = false

# Named slots, served at /slot/NAME: NAME = "SOURCE".
[slots]
#prod = "profile:prod"
#"team a/audit" = "role:arn:aws:iam::123456789012:role/audit@prod"

[auth]
# auto:  loopback clients of the daemon's own user are let in (where the kernel
#        tells who they are); everybody else needs the authorization token
# token: everybody needs it
# none:  nobody does; refused beyond loopback
#mode = "auto"

# Other users whose loopback clients are let in as well: numbers or names.
#allow_uids = [33]

# Serve HTTPS. The files are read again when they change. Relative paths are
# relative to this file.
[tls]
#cert = "tls/cert.pem"
#key = "tls/key.pem"

[log]
# debug, info, warn or error
#level = "info"
# text, json, or auto: text on a terminal, JSON elsewhere
#format = "auto"
`
