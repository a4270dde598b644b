//go:build unix && !aix && !solaris

package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// lockFile takes the lock of an open file. The system gives it back when the process ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func ownedByUs(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}

// killGroup ends a process and the children that it has forked to save its data.
func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// psStart is when a process began, as ps tells it: to the second, on every system.
func psStart(pid int) (string, error) {
	cmd := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.Output()
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return "", errNoProcess
	}
	if err != nil {
		return "", fmt.Errorf("ask ps about process %d: %w", pid, err)
	}
	return parsePS(string(out))
}

// parsePS reads "Ss   Mon Nov 30 17:45:34 2026". A zombie has ended.
func parsePS(line string) (string, error) {
	stat, start, ok := strings.Cut(strings.TrimSpace(line), " ")
	start = strings.Join(strings.Fields(start), " ")
	if !ok || start == "" || len(start) > 64 || strings.HasPrefix(stat, "Z") {
		return "", errNoProcess
	}
	return "ps " + start, nil
}
