//go:build !linux

package doctor

import (
	"errors"
	"os"
)

// Self is the program that called this one: it has this environment.
func Self(name string, environ []string, home string) Program {
	p := Program{Name: name, Env: NewEnviron(environ), Home: home}
	p.Dir, _ = os.Getwd()
	return p
}

// Process is a running process as it sees the world.
func Process(int) (Program, error) {
	return Program{}, errors.New("other processes can be looked at on Linux only: start it as rolecall doctor -- COMMAND")
}
