//go:build !linux

package phpfpm

import "errors"

// Finder looks at running processes, which only Linux lets us do.
type Finder struct {
	Proc string
}

// ErrNoProcesses says that running masters cannot be found here.
var ErrNoProcesses = errors.New("running masters can be found only on Linux; name the configuration with --fpm-config FILE")

// Masters finds none here.
func (Finder) Masters() ([]*Master, error) { return nil, ErrNoProcesses }

// Master finds none here.
func (Finder) Master(int) *Master { return nil }

// Surroundings are not to be had here.
func (Finder) Surroundings(*Master) ([]Environment, []string) { return nil, nil }

// Environ is not to be had here.
func (Finder) Environ(int) (map[string]string, error) { return nil, ErrNoProcesses }
