package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dirPrefix begins the name of each temporary directory. Nothing without it is ever removed.
const dirPrefix = "evercache-dev-"

// sweep ends and removes what runs that were killed have left, and says what that was. A run that lives
// holds the lock of its name, and is left alone.
func (r runtimeDir) sweep() (said []string, err error) {
	names, err := r.names()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range names {
		lock, err := r.take(name)
		if errors.Is(err, errLocked) {
			continue
		}
		if err == nil {
			var lines []string
			lines, err = r.sweepOne(name)
			said = append(said, lines...)
			err = errors.Join(err, lock.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("what a set named %s has left: %w", name, err))
		}
	}
	return said, errors.Join(errs...)
}

// sweepOne is for whoever holds the lock.
func (r runtimeDir) sweepOne(name string) (said []string, err error) {
	s, err := readState(r.state(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, errState) { // it says nothing that could be acted on
		said = append(said, fmt.Sprintf("what a set named %s has left is not known (%v): look for redis-server processes yourself", name, err))
		return said, os.Remove(r.state(name))
	}
	if err != nil {
		return nil, err
	}
	ended := 0
	for _, p := range s.Processes {
		was, err := p.end()
		if err != nil {
			return said, err
		}
		if was {
			ended++
		}
	}
	removed, err := removeDir(s)
	if err != nil {
		return said, err
	}
	if ended > 0 || removed {
		said = append(said, fmt.Sprintf("a set named %s was killed before: %s. Its files are removed", name, leftRunning(ended)))
	}
	err = os.Remove(r.socket(name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return said, errors.Join(err, os.Remove(r.state(name)))
}

// leftRunning says what was found of a set that was killed.
func leftRunning(ended int) string {
	switch ended {
	case 0:
		return "nothing of it runs any more"
	case 1:
		return "a process of it still ran, and is ended"
	}
	return fmt.Sprintf("%d processes of it still ran, and are ended", ended)
}

// endTimeout is how long a killed process may take to go.
const endTimeout = 5 * time.Second

// end kills the process, if it is the one that was written down, and waits until it is gone.
func (p process) end() (was bool, err error) {
	lives, err := p.lives()
	if err != nil || !lives {
		return false, err
	}
	if err := killGroup(p.Pid); err != nil {
		return false, fmt.Errorf("end %s (process %d): %w", p.Name, p.Pid, err)
	}
	for deadline := time.Now().Add(endTimeout); ; time.Sleep(10 * time.Millisecond) {
		lives, err := p.lives()
		if err != nil || !lives {
			return true, err
		}
		if time.Now().After(deadline) {
			return true, fmt.Errorf("end %s (process %d): it is still there after %v", p.Name, p.Pid, endTimeout)
		}
	}
}

// lives: there is a process of this number, and it began when ours did.
func (p process) lives() (bool, error) {
	start, err := startOf(p.Pid)
	if errors.Is(err, errNoProcess) {
		return false, nil
	}
	return start == p.Start, err
}

// errNoProcess: there is no process of a number, or it has ended.
var errNoProcess = errors.New("no such process")

// removeDir removes the directory of a run, if it is a temporary one of ours.
func removeDir(s state) (removed bool, err error) {
	if !s.Temporary || !strings.HasPrefix(filepath.Base(s.Dir), dirPrefix) {
		return false, nil
	}
	info, err := os.Lstat(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if why := notPrivate(info, ownedByUs(info)); why != "" {
		return false, fmt.Errorf("%s %s and is left alone", s.Dir, why)
	}
	return true, os.RemoveAll(s.Dir)
}
