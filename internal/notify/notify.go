// Package notify shows a short text on the desktop, where there is one.
package notify

import (
	"context"
	"errors"
	"time"
)

// ErrNoDesktop says that there is nowhere to show a text.
var ErrNoDesktop = errors.New("there is no desktop to show notices on")

// longest is how long a desktop may take to accept a notice.
const longest = 3 * time.Second

// Send shows title and body, plain text both. getenv tells where the desktop is
// (DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR). The error is ErrNoDesktop, or
// says why the desktop did not take it.
func Send(ctx context.Context, getenv func(string) string, title, body string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return send(ctx, getenv, title, body)
}
