//go:build linux && !race

package diagnosis

const slow = false
