//go:build unix

package daemon

import (
	"os"
	"syscall"
)

// descriptorLimit is the limit on open files; 0: it is not known. The runtime has
// raised the soft limit to the hard one when the process began.
func descriptorLimit() uint64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return uint64(r.Cur) // its type is another on some systems
}

// usualDescriptors are open when a process begins: three files, and the runtime's.
const usualDescriptors = 8

// openDescriptors counts what is open, inherited files among it.
func openDescriptors() int {
	fds, err := os.ReadDir("/dev/fd")
	if err != nil {
		return usualDescriptors
	}
	return max(len(fds), usualDescriptors)
}
