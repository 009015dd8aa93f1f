package peercred

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Processes finds, in one walk over /proc, the processes that hold the sockets
// with the given inodes (Peer.Inode), looking only at processes of the given
// users, or at everybody's where none is given. A socket that several processes
// hold is given to the youngest. What is not found, or may not be looked at
// (only root may look at other users' processes), is missing from the answer.
//
// It is for logs only, never for a decision. It takes 1 to 30 ms, so it belongs
// off the path of a request, for many inodes at a time.
func Processes(inodes []uint32, uids ...uint32) map[uint32]Process {
	found := make(map[uint32]Process, len(inodes))
	wanted := make(map[uint32]bool, len(inodes))
	for _, i := range inodes {
		if i != 0 {
			wanted[i] = true
		}
	}
	if len(wanted) == 0 {
		return found
	}
	var names nameBuffer
	for _, pid := range pids() {
		dir := "/proc/" + strconv.Itoa(int(pid))
		if len(uids) > 0 && !ownedBy(dir, uids) {
			continue
		}
		held := names.sockets(dir+"/fd", wanted)
		if len(held) == 0 {
			continue
		}
		p := Process{PID: pid, Program: programOf(pid)}
		for _, inode := range held {
			found[inode] = p
			delete(wanted, inode)
		}
		if len(wanted) == 0 {
			break
		}
	}
	return found
}

// pids are all processes, those with the highest pid first: clients of a
// credentials endpoint are mostly young.
func pids() []int32 {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var all []int32
	for _, n := range names {
		if pid, err := strconv.ParseInt(n, 10, 32); err == nil {
			all = append(all, int32(pid))
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

func ownedBy(dir string, uids []uint32) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && slices.Contains(uids, st.Uid)
}

// nameBuffer holds the target of one link of /proc/PID/fd. That of a socket,
// "socket:[4294967295]", fits easily, and nothing else matters.
type nameBuffer [64]byte

// sockets returns those of the wanted inodes that are open in dir.
func (b *nameBuffer) sockets(dir string, wanted map[uint32]bool) []uint32 {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var held []uint32
	for _, name := range names {
		n, err := unix.Readlinkat(int(d.Fd()), name, b[:])
		if err != nil {
			continue
		}
		if inode, ok := socketInode(b[:n]); ok && wanted[inode] && !slices.Contains(held, inode) {
			held = append(held, inode)
		}
	}
	return held
}

// socketInode reads "socket:[123]".
func socketInode(link []byte) (uint32, bool) {
	rest, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok {
		return 0, false
	}
	rest, ok = bytes.CutSuffix(rest, []byte("]"))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest), 10, 32)
	return uint32(n), err == nil
}

// programOf is the base name of what process pid runs, or "". Where the
// executable may not be looked at, it is the name the process gave itself.
func programOf(pid int32) string {
	dir := "/proc/" + strconv.Itoa(int(pid))
	if exe, err := os.Readlink(dir + "/exe"); err == nil {
		return cleanName(strings.TrimSuffix(exe, " (deleted)"))
	}
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return ""
	}
	return cleanName(strings.ReplaceAll(strings.TrimSuffix(string(comm), "\n"), "/", "?"))
}
