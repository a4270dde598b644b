//go:build unix

package redisproc

import (
	"errors"
	"os/exec"
	"syscall"
)

// supported says that this system has the signals that control a process.
const supported = true

// ownGroup gives the child a process group of its own, and what else the system offers.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = attributes() }

type sysSignal = syscall.Signal

// sendSignal goes to the process and the children it may have forked to save its data. That they
// are all gone already is no error.
func sendSignal(pid int, sig sysSignal) error {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

const (
	sigKill = syscall.SIGKILL
	sigTerm = syscall.SIGTERM
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
