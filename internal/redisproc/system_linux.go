package redisproc

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// attributes of a child. Setpgid: ctrl-C in a terminal goes to the foreground group; the test
// decides when its servers end. Pdeathsig: the kernel kills the child when the *thread* that
// started it ends, which is why run.own keeps that thread.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stopped says whether SIGSTOP has taken effect: the state after the command name, which is in
// parentheses and may hold anything, is T.
func stopped(pid int) (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false, err
	}
	_, rest, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return found && len(rest) > 0 && rest[0] == 'T', nil
}
