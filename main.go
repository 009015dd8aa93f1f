// Rolecall takes AWS credentials from any source, keeps them fresh, and hands
// them to any program through the endpoints that every AWS SDK already knows.
package main

import (
	"os"

	"rolecall/internal/cli"
)

// version is set when a release is linked: -ldflags "-X main.version=1.2.3".
var version string

func main() { os.Exit(cli.Main(cli.System(version))) }
