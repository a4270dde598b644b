// Package memlimit tells how much memory this process may have: the limit of its
// control group, as a container engine or systemd sets it on Linux.
package memlimit

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// maxFileBytes bounds each file that is read.
const maxFileBytes = 1 << 20

// Of is the limit in bytes of the process whose root of files is given; 0: there
// is none, or it cannot be known. A group's parents count too. Both versions of
// control groups are looked at, since a machine can have both.
func Of(root fs.FS) int64 {
	groups, err := readText(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	mounts, err := readText(root, "proc/self/mountinfo")
	if err != nil {
		return 0
	}
	limit := int64(math.MaxInt64)
	for _, p := range places(groups, mounts) {
		limit = min(limit, p.limit(root))
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// limit is the lowest of the group and its parents, as far as they can be seen.
func (p place) limit(root fs.FS) int64 {
	limit := int64(math.MaxInt64)
	for dir := p.dir; ; dir = path.Dir(dir) {
		if text, err := readText(root, strings.TrimPrefix(path.Join(dir, p.file), "/")); err == nil {
			limit = min(limit, parseLimit(text))
		}
		if dir == p.top || len(dir) <= len(p.top) {
			return limit
		}
	}
}

// unlimited is where version 1 begins to mean no limit: the largest number of
// whole pages, and pages have up to 64 KiB.
const unlimited = math.MaxInt64 &^ (64<<10 - 1)

// parseLimit reads a limit; math.MaxInt64: there is none.
func parseLimit(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 || n >= unlimited { // "max" is no number
		return math.MaxInt64
	}
	return n
}

func readText(root fs.FS, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := readUpTo(f, maxFileBytes)
	return string(text), err
}
