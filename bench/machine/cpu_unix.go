//go:build unix

package machine

import (
	"syscall"
	"time"
)

// CPUTime is what this process has used so far, or 0 where that cannot be told.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
