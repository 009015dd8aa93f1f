//go:build !windows

package cli

const noFile = "/dev/null"

func foldName(name string) string { return name }
