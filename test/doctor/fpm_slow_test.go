//go:build linux && race

package diagnosis

// slow says that figures of time do not hold.
const slow = true
