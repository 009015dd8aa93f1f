// Package peercred tells who is at the other end of a TCP or unix-socket
// connection on this machine. It knows nothing of credentials, and it decides
// nothing: what cannot be told is unknown, and unknown is never a user.
//
// On Linux the kernel tells the user of both kinds of connection; on macOS of
// unix sockets only; elsewhere of none.
package peercred

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Peer is who holds the other end of a connection. The zero Peer is unknown.
type Peer struct {
	// UID is the user who made the socket: a process that gave up its
	// privileges afterwards, or was handed the socket, still shows its maker.
	// It means something only when Known, and only Known may decide anything.
	UID   uint32
	Known bool

	// Inode names the peer's TCP socket for Processes. Zero: not told.
	Inode uint32

	// PID and Program are for people to read (logs, status), never to decide
	// by: a pid may be used again, and a program names itself. Zero and "":
	// not told. TCP leaves them empty, see Processes.
	PID     int32
	Program string
}

// Is says whether the kernel told that the peer is user uid.
func (p Peer) Is(uid uint32) bool { return p.Known && p.UID == uid }

// String is, for example, "uid 1000, pid 4711 (php-fpm8.2)", or "unknown".
func (p Peer) String() string {
	if !p.Known {
		return "unknown"
	}
	s := "uid " + strconv.FormatUint(uint64(p.UID), 10)
	if p.PID != 0 {
		s += ", pid " + strconv.FormatInt(int64(p.PID), 10)
	}
	if p.Program != "" {
		s += " (" + p.Program + ")"
	}
	return s
}

// Process is what runs at the other end, as far as it could be found.
type Process struct {
	PID     int32
	Program string // base name of the executable, see cleanName; may be ""
}

// maxProgram is the longest program name handed out, in bytes.
const maxProgram = 64

// cleanName makes a program's name fit for a log line: only printable
// characters, at most 64 bytes, no path.
func cleanName(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	var b strings.Builder
	for _, r := range name {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > maxProgram {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
