// Package harden makes what the process holds in memory harder to take: no core
// dumps, no look from other processes of the same user, no swap where the system
// lets us. It defends neither against root nor against a debugger that was
// attached before.
package harden

// Result says what took effect.
type Result struct {
	NoDumps  bool // no core dumps, and no ptrace or /proc/PID/mem by the same user
	NoSwap   bool // memory is locked
	Problems []string
}
