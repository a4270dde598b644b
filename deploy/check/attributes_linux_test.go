package check

import "syscall"

// attributes: the kernel ends a child with the thread that started it, see spawn.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
