package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/rogpeppe/go-internal/testscript"
)

// redis [stop|start]: a server of the script's own at $REDIS; stopped, it
// refuses.
func cmdRedis(ts *testscript.TestScript, neg bool, args []string) {
	servers := worldOf(ts)
	switch {
	case len(args) == 0:
		servers.redis = miniredis.NewMiniRedis()
		ts.Check(servers.redis.Start())
		ts.Defer(servers.redis.Close)
		ts.Setenv("REDIS", servers.redis.Addr())
	case args[0] == "stop":
		servers.redis.Close()
	default:
		ts.Check(servers.redis.Restart())
	}
}

// config LINE: the configuration in $ROLECALL_DIR, in full.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.Getenv("ROLECALL_DIR")
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.Chmod(dir, 0o700))
	line := strings.Join(args, " ")
	if name, value, ok := strings.Cut(line, " = "); ok {
		line = name + ` = "` + strings.Trim(value, `"`) + `"`
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "config.toml"), []byte(line+"\n"), 0o600))
}
