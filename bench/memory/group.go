package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// group is a control group of ours with a limit on memory.
type group struct{ dir string }

const groups = "/sys/fs/cgroup"

// newGroup makes one, of version 2 or 1, whichever the machine has.
func newGroup(mib int) (group, error) {
	parent, file := groups, "memory.max"
	if _, err := os.Stat(filepath.Join(groups, "cgroup.controllers")); err != nil {
		parent, file = filepath.Join(groups, "memory"), "memory.limit_in_bytes"
	}
	g := group{filepath.Join(parent, fmt.Sprint("evercache-bench-", os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return g, fmt.Errorf("-limit needs a control group: %w", err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.Itoa(mib<<20)), 0o644); err != nil {
		return g, errors.Join(fmt.Errorf("-limit needs a control group: %w", err), g.close())
	}
	return g, nil
}

// script begins a shell script that is to run in the group.
func (g group) script() string {
	if g.dir == "" {
		return ""
	}
	return "echo $$ > " + filepath.Join(g.dir, "cgroup.procs") + "; "
}

// close removes the group; its process must be gone.
func (g group) close() error {
	if g.dir == "" {
		return nil
	}
	return os.Remove(g.dir)
}
