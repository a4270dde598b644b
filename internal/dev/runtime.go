package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runtimeDir is the directory in which the runs of one user find each other. It holds, for each name, a
// lock, a state file and a socket. Nobody else can read or change it.
type runtimeDir string

// maxSocket is what every system takes as the path of a socket.
const maxSocket = 100

// openRuntime makes the directory that an environment leads to, or checks it.
func openRuntime(environ []string) (runtimeDir, error) {
	dir := runtimePath(lookUp(environ, "XDG_RUNTIME_DIR"), os.TempDir(), os.Getuid())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the directory for running sets: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("the directory for running sets: %w", err)
	}
	if why := notPrivate(info, ownedByUs(info)); why != "" {
		return "", fmt.Errorf("%s %s; remove it, or set XDG_RUNTIME_DIR to a directory of yours", dir, why)
	}
	return runtimeDir(dir), nil
}

// lookUp is the value of a variable, or "".
func lookUp(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// runtimePath is where the directory is: where the system keeps such things, else beside other
// temporary files under the user's number. The path of a socket in it must not be too long.
func runtimePath(xdg, temp string, uid int) string {
	candidates := []string{filepath.Join(temp, fmt.Sprintf("evercache-%d", uid)), fmt.Sprintf("/tmp/evercache-%d", uid)}
	if filepath.IsAbs(xdg) {
		candidates = slices.Insert(candidates, 0, filepath.Join(xdg, "evercache"))
	}
	for _, dir := range candidates {
		if len(runtimeDir(dir).socket(strings.Repeat("x", maxName))) <= maxSocket {
			return dir
		}
	}
	return candidates[len(candidates)-1]
}

// notPrivate says what is wrong with a directory that must be ours alone.
func notPrivate(info fs.FileInfo, ours bool) string {
	switch {
	case !info.IsDir():
		return "is not a directory"
	case !ours:
		return "belongs to somebody else"
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Sprintf("has mode %04o, want 0700", info.Mode().Perm())
	}
	return ""
}

func (r runtimeDir) file(name, ending string) string {
	return filepath.Join(string(r), "dev-"+name+ending)
}

func (r runtimeDir) lock(name string) string   { return r.file(name, ".lock") }
func (r runtimeDir) state(name string) string  { return r.file(name, ".json") }
func (r runtimeDir) socket(name string) string { return r.file(name, ".sock") }

// names are those that have a state file, running or left.
func (r runtimeDir) names() ([]string, error) {
	entries, err := os.ReadDir(string(r))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), "dev-")
		name, isState := strings.CutSuffix(name, ".json")
		if ok && isState && isName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// errLocked: another process holds the lock.
var errLocked = errors.New("locked")

// take takes the lock of a name until the file is closed or the process ends, however it ends. It does
// not wait.
func (r runtimeDir) take(name string) (*os.File, error) {
	f, err := os.OpenFile(r.lock(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// handover is how long a run waits for one that is just ending.
const handover = 2 * time.Second

// claim is take for a new run: it waits a moment, and says who is in the way.
func (r runtimeDir) claim(name string) (*os.File, error) {
	for end := time.Now().Add(handover); ; time.Sleep(20 * time.Millisecond) {
		f, err := r.take(name)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, errLocked):
			return nil, fmt.Errorf("lock the name %s: %w", name, err)
		case time.Now().Before(end):
			continue
		}
		by := ""
		if st, err := readState(r.state(name)); err == nil {
			by = fmt.Sprintf(" in process %d", st.Pid)
		}
		flag := ""
		if name != defaultName {
			flag = "--name " + name + " "
		}
		return nil, fmt.Errorf("a set named %s is running already%s: 'evercache dev %squit' ends it, --name starts one beside it", name, by, flag)
	}
}
