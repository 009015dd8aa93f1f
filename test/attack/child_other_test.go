//go:build !linux

package attack_test

import "errors"

func childOnLinux(string) error { return errors.New("this is for Linux") }
