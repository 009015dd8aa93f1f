package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/gofrs/flock"

	"rolecall/internal/control"
	"rolecall/internal/peercred"
	"rolecall/internal/usererr"
)

// listenControl opens the control socket. A lock beside it, which the kernel
// frees when its holder dies, tells a socket in use from one left behind.
func (d *daemon) listenControl() (net.Listener, error) {
	path := d.c.Dirs.Socket
	if err := d.c.Dirs.CheckSocket(); err != nil {
		return nil, fileError("the control socket cannot be opened", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	switch got, err := lock.TryLock(); {
	case err != nil:
		return nil, fileError("the control socket cannot be locked", err)
	case !got:
		return nil, &usererr.Error{Code: usererr.NotConfigured, Msg: "another rolecall is running with the control socket " + path,
			Hint: "see it with: rolecall status; for a second one set ROLECALL_DIR to another directory"}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = lock.Unlock()
		return nil, fileError("the old control socket cannot be removed", err)
	}
	ln, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		_ = lock.Unlock()
		return nil, fileError("the control socket cannot be opened", err)
	}
	return &lockedListener{ln, lock}, nil
}

type lockedListener struct {
	net.Listener
	lock *flock.Flock
}

func (l *lockedListener) Close() error {
	err := l.Listener.Close()
	if e := l.lock.Unlock(); err == nil {
		err = e
	}
	return err
}

// serveControl answers the other commands of rolecall until ctx ends.
func (d *daemon) serveControl(ctx context.Context, ln net.Listener) error {
	own, known := peercred.OwnUID()
	s := control.NewServer(control.HandlerConfig{
		Daemon:  d.commands(),
		Metrics: d.metrics.handler(),
		Allowed: func(p peercred.Peer) bool {
			// Where the kernel does not tell (Windows), the socket's directory guards it.
			return p.Is(own) || p.Is(0) || !known
		},
		Denied: func(p peercred.Peer) { d.log.Warn("control socket: refused", "peer", p.String()) },
	})
	s.ErrorLog = httpLog(d.log)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.Shutdown(end) != nil {
		_ = s.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// notify tells systemd, when it started us.
func (d *daemon) notify(state string) {
	if d.c.Private {
		return
	}
	if _, err := sd.SdNotify(false, state); err != nil {
		d.log.Warn("systemd cannot be told", "state", state, "error", err.Error())
	}
}

// watchdog tells systemd that the daemon lives, as long as the loop that
// refreshes does.
func (d *daemon) watchdog(ctx context.Context) error {
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("the watchdog of systemd: %w", err)
	}
	if every <= 0 {
		return nil
	}
	ticker := time.NewTicker(every / 2)
	defer ticker.Stop()
	for {
		if d.table.Alive() {
			d.notify("WATCHDOG=1")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
