package notify

import "context"

func send(context.Context, func(string) string, string, string) error { return ErrNoDesktop }
