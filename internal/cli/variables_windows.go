package cli

import "strings"

const noFile = "NUL"

// foldName: names of variables have no case on Windows.
func foldName(name string) string { return strings.ToUpper(name) }
