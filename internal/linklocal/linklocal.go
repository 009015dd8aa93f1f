// Package linklocal puts the addresses at which AWS's own metadata and
// credentials services answer on this machine's loopback interface, so that
// programs that can be told no other address reach rolecall, and takes them away
// again. It touches no address but those that it added itself: the kernel keeps
// the mark on each, so that they are known even after a crash.
//
// Only Linux can do it here.
package linklocal

import "net/netip"

// The addresses, and the port at which all of them are asked.
var (
	Metadata   = netip.AddrFrom4([4]byte{169, 254, 169, 254}) // EC2 instance metadata
	Container  = netip.AddrFrom4([4]byte{169, 254, 170, 2})   // ECS: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
	PodAddress = netip.AddrFrom4([4]byte{169, 254, 170, 23})  // EKS Pod Identity
)

// Port of all of them.
const Port = 80

// Error says why the addresses cannot be had. Hint names the next thing to type.
type Error struct {
	Msg, Hint string
	Err       error // may be nil
}

func (e *Error) Error() string { return e.Msg }
func (e *Error) Unwrap() error { return e.Err }

const instead = "rolecall serve --imds 127.0.0.1:1338, and AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1338 for the programs"
