//go:build unix && !darwin

package notify

import (
	"context"
	"fmt"
	"html"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// send asks the notification service of the session bus: Desktop Notifications
// Specification 1.2, org.freedesktop.Notifications.Notify.
func send(ctx context.Context, getenv func(string) string, title, body string) error {
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		dir := getenv("XDG_RUNTIME_DIR")
		if dir == "" {
			return ErrNoDesktop
		}
		socket := filepath.Join(dir, "bus")
		if _, err := os.Stat(socket); err != nil {
			return ErrNoDesktop
		}
		address = "unix:path=" + socket
	}
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("the session bus: %w", err)
	}
	defer conn.Close()
	call := conn.Object("org.freedesktop.Notifications", "/org/freedesktop/Notifications").CallWithContext(ctx,
		"org.freedesktop.Notifications.Notify", 0,
		"rolecall", uint32(0), "dialog-password", title, html.EscapeString(body), []string{}, map[string]dbus.Variant{}, int32(-1))
	if call.Err != nil {
		return fmt.Errorf("the notification service: %w", call.Err)
	}
	return nil
}
