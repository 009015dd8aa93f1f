package daemon

import (
	"log"
	"log/slog"
	"time"

	"rolecall/internal/config"
	"rolecall/internal/slot"
)

func useJSON(c Config, l config.Log) bool {
	return l.Format == config.LogJSON || l.Format == config.LogAuto && !c.Terminal
}

// newLogger writes text on a terminal and JSON elsewhere, unless told otherwise.
func newLogger(c Config, l config.Log, level *slog.LevelVar) *slog.Logger {
	level.Set(l.Level)
	o := &slog.HandlerOptions{Level: level}
	if useJSON(c, l) {
		return slog.New(slog.NewJSONHandler(c.Stderr, o))
	}
	o.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().Format(time.TimeOnly))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(c.Stderr, o))
}

// httpLog takes net/http's own complaints (a client that hung up during the TLS
// handshake), which are of interest to nobody but a debugger.
func httpLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }

// failuresLogged is how many failures in a row are logged each; later ones only
// now and then.
const failuresLogged = 3

// observe logs and counts the end of a retrieval.
func (d *daemon) observe(e slot.Event) {
	d.metrics.retrieved(e)
	d.notices.observe(e)
	if d.imds != nil && d.imds.serving() {
		d.imds.warmUp(e)
	}
	name := shown(e.Slot)
	if e.Err == nil {
		d.log.Info("refreshed", "slot", name, "source", e.Spec.Source, "expires", e.Held.Expires.UTC().Format(time.RFC3339), "took", e.Took.Round(time.Millisecond).String())
		return
	}
	level := slog.LevelWarn
	if n := e.InARow; n > failuresLogged && n%10 != 0 {
		level = slog.LevelDebug
	}
	d.log.Log(d.table.Context(), level, "refresh failed", "slot", name, "source", e.Spec.Source, "code", string(e.Err.Code), "error", e.Err.Msg, "hint", e.Err.Hint, "failures_in_a_row", e.InARow)
}
