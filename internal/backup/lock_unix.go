//go:build unix

package backup

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// hold keeps other schedules out of a directory: each would remove what the other keeps.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("another evercache backup --every uses %s: give each a directory of its own", dir)
	}
	return f, nil // some file systems have no locks
}
