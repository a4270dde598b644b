package memlimit

import (
	"io"
	"path"
	"strings"
)

// place is where the limit of a group is: in a file of its folder, and of the
// folders above it up to top.
type place struct{ dir, top, file string }

const (
	fileV1 = "memory.limit_in_bytes"
	fileV2 = "memory.max"
)

// places are the groups of a process that can limit its memory. groups is
// /proc/self/cgroup, mounts is /proc/self/mountinfo.
func places(groups, mounts string) (all []place) {
	v1, v2 := groupPaths(groups)
	for line := range strings.Lines(mounts) {
		m, ok := parseMount(line)
		switch {
		case !ok:
		case m.kind == "cgroup2" && v2 != "":
			all = append(all, m.place(v2, fileV2))
		case m.kind == "cgroup" && v1 != "" && has(m.options, "memory"):
			all = append(all, m.place(v1, fileV1))
		}
	}
	return all
}

// groupPaths are the paths of the group that version 1 uses for memory, and of
// that of version 2. A line is ID:CONTROLLERS:PATH.
func groupPaths(groups string) (v1, v2 string) {
	for line := range strings.Lines(groups) {
		id, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		controllers, dir, ok := strings.Cut(rest, ":")
		switch {
		case !ok || !strings.HasPrefix(dir, "/"):
		case id == "0" && controllers == "":
			v2 = dir
		case has(controllers, "memory"):
			v1 = dir
		}
	}
	return v1, v2
}

// mount is one line of mountinfo: where the folder root of a file system is.
type mount struct{ root, point, kind, options string }

// parseMount reads ID PARENT DEVICE ROOT POINT OPTIONS [TAGS…] - KIND SOURCE OPTIONS.
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	front, back := strings.Fields(before), strings.Fields(after)
	if !ok || len(front) < 6 || len(back) < 3 {
		return mount{}, false
	}
	m := mount{root: unescape(front[3]), point: unescape(front[4]), kind: back[0], options: back[2]}
	return m, strings.HasPrefix(m.root, "/") && strings.HasPrefix(m.point, "/")
}

// unescape turns back what mountinfo writes as octal numbers.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// place is where the group is found under the mount. A container sees its own
// group as the top, whatever the path is called outside.
func (m mount) place(group, file string) place {
	rest := group
	if m.root != "/" {
		var under bool
		if rest, under = strings.CutPrefix(group, m.root); !under || rest != "" && rest[0] != '/' {
			rest = "/"
		}
	}
	top := path.Clean(m.point)
	return place{dir: path.Join(top, path.Clean("/"+rest)), top: top, file: file}
}

// has reports whether a list with commas holds a word.
func has(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

func readUpTo(r io.Reader, most int64) ([]byte, error) { return io.ReadAll(io.LimitReader(r, most)) }
