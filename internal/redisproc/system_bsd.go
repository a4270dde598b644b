//go:build unix && !linux

package redisproc

import "syscall"

// attributes of a child. There is no parent-death signal here: a program that is killed with
// SIGKILL leaves its servers behind.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// stopped cannot be asked without /proc; the signal is delivered before kill returns.
func stopped(int) (bool, error) { return true, nil }
