//go:build !unix

package redisproc

import (
	"errors"
	"os/exec"
	"syscall"
)

// supported is false: redis does not run here, Available says so, and the rest only compiles.
const supported = false

func ownGroup(*exec.Cmd) {}

type sysSignal = syscall.Signal

func sendSignal(int, sysSignal) error { return errors.ErrUnsupported }

func stopped(int) (bool, error) { return false, errors.ErrUnsupported }

const (
	sigKill = syscall.Signal(9)
	sigTerm = syscall.Signal(15)
	sigStop = syscall.Signal(19)
	sigCont = syscall.Signal(18)
)
