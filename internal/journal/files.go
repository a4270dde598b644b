package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names in the directory.
const (
	currentName = "journal"
	freshName   = "journal.new"     // becomes current at the end of renew
	rewriteName = "journal.rewrite" // becomes current at the end of a rewrite
	lockName    = "journal.lock"
	damagedName = "journal.damaged-"

	// maxDamaged bounds the files that are kept for a look; the oldest goes.
	maxDamaged = 3
)

// files is the directory. Tests break it.
type files interface {
	Open(name string, flag int) (file, error)
	Lstat(name string) (fs.FileInfo, error)
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
	Names() ([]string, error)
	Sync() error
	// Locked fails unless the path of the directory leads to it, and to its lock.
	Locked() error
	// Holds fails unless the path of the directory leads to f as the present file.
	Holds(f file) error
	Close() error // unlocks it
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
}

// rooted is a directory that no name and no link leads out of, and that is
// locked.
type rooted struct {
	*os.Root
	path string // absolute
	lock *os.File
}

func (r rooted) Close() error { return errors.Join(r.Root.Close(), r.lock.Close()) }

func (r rooted) Locked() error { return r.leadsTo(lockName, r.lock) }

func (r rooted) Holds(f file) error { return r.leadsTo(currentName, f) }

var errReplaced = errors.New("another file is in its place")

// leadsTo reports whether the path of a name leads to what is open: whoever opens
// the journal next goes by the path.
func (r rooted) leadsTo(name string, open interface{ Stat() (fs.FileInfo, error) }) error {
	there, err := os.Lstat(filepath.Join(r.path, name))
	if err != nil {
		return err
	}
	here, err := open.Stat()
	if err == nil && !os.SameFile(there, here) {
		err = fmt.Errorf("%s: %w", name, errReplaced)
	}
	return err
}

func (r rooted) Open(name string, flag int) (file, error) {
	f, err := r.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (r rooted) Names() ([]string, error) {
	entries, err := fs.ReadDir(r.FS(), ".")
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// Sync makes renames last.
func (r rooted) Sync() error {
	d, err := r.Root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openDir makes, checks and locks the directory.
func openDir(dir string) (files, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, notWritable(dir, err)
	}
	lock, err := takeLock(root)
	switch {
	case err == nil:
		return rooted{root, dir, lock}, nil
	case errors.Is(err, ErrInUse):
		err = fmt.Errorf("journal directory %s: %w; give each process its own", dir, err)
	case errors.Is(err, errors.ErrUnsupported):
		err = fmt.Errorf("journal directory %s: this system cannot lock files; run without a journal: %w", dir, err)
	default:
		err = notWritable(dir, err)
	}
	return nil, errors.Join(err, root.Close())
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			info, err = os.Stat(dir)
		}
	}
	switch {
	case err != nil:
		return notWritable(dir, err)
	case !info.IsDir():
		return fmt.Errorf("journal directory %s is not a directory; name one, or a path where one can be made", dir)
	case ownedByOther(info, os.Geteuid()):
		return fmt.Errorf("journal directory %s belongs to another user than the one of this process, who could change it: chown it to user %d, or name a directory that does not exist", dir, os.Geteuid())
	case othersWrite(info):
		return fmt.Errorf("journal directory %s can be written by others (mode %04o): chmod go-w it, or name a directory below it that does not exist", dir, info.Mode().Perm())
	}
	return nil
}

func notWritable(dir string, err error) error {
	return fmt.Errorf("journal directory %s cannot be used: %w; make it writable for the user of this process, on a volume that is not read-only", dir, err)
}

// openOld opens the present file. No file and no error: there is none.
func openOld(dir files) (file, int64, error) {
	info, err := dir.Lstat(currentName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, 0, errForeign
	}
	f, err := dir.Open(currentName, os.O_RDWR)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func sequential(f io.ReaderAt, size int64) io.Reader { return io.NewSectionReader(f, 0, size) }

// setAside gives the present file a second name, under which it stays when a
// fresh one takes its place. Where there are no links, it is renamed: a crash
// before the fresh one is there then leaves no current file.
func setAside(dir files, at time.Time) (string, error) {
	stamp := at.UTC().Format("20060102T150405.000000Z")
	name := damagedName + stamp
	if err := dir.Link(currentName, name); err != nil {
		if err = dir.Rename(currentName, name); err != nil {
			return "", fmt.Errorf("set the damaged journal aside: %w", err)
		}
	}
	prune(dir)
	return name, nil
}

// prune removes the oldest of too many files that were set aside. A fault is
// left for the next time.
func prune(dir files) {
	names, err := dir.Names()
	if err != nil {
		return
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, damagedName) })
	slices.Sort(names)
	for _, n := range names[:max(0, len(names)-maxDamaged)] {
		_ = dir.Remove(n)
	}
}
