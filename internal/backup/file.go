package backup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempMark is in the names of files that are not complete.
const tempMark = ".incomplete-"

// pending is a file that is written under another name until it is complete.
type pending struct {
	*os.File
	name string // the final one
}

// create begins a file in the directory of its final name. Nobody else may read it: values
// are what users have stored.
func create(name string) (*pending, error) {
	f, err := os.OpenFile(name+tempMark+strings.ToLower(rand.Text()[:8]), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &pending{f, name}, nil
}

// abandon removes what was written.
func (p *pending) abandon() {
	_ = p.File.Close()
	_ = os.Remove(p.File.Name())
}

// commit gives the file its final name, once all of it is on the disk.
func (p *pending) commit(replace bool) error {
	if err := errors.Join(p.Sync(), p.File.Close()); err != nil {
		return err
	}
	if replace {
		if err := os.Rename(p.File.Name(), p.name); err != nil {
			return err
		}
		return syncDir(filepath.Dir(p.name))
	}
	// A link fails where the name is taken, which a rename does not.
	switch err := os.Link(p.File.Name(), p.name); {
	case err == nil:
		if err := os.Remove(p.File.Name()); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrExist):
		return exists(p.name)
	default: // no links here
		if _, err := os.Lstat(p.name); err == nil {
			return exists(p.name)
		}
		if err := os.Rename(p.File.Name(), p.name); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(p.name))
}

func exists(name string) error {
	return fmt.Errorf("%s exists already: name another file, or add --overwrite", name)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeWhole puts a small file in place in one piece.
func writeWhole(name string, data []byte, mode fs.FileMode) error {
	p, err := create(name)
	if err != nil {
		return err
	}
	_, err = p.Write(data)
	if err = errors.Join(err, p.Chmod(mode)); err == nil {
		err = p.commit(true)
	}
	if err != nil {
		p.abandon()
	}
	return err
}

const (
	namePrefix = "evercache-"
	nameStamp  = "20060102T150405Z"
	nameSuffix = ".backup"
)

// NameAt is the name of a file by its time, which sorts by it.
func NameAt(at time.Time, zip bool) string {
	name := namePrefix + at.UTC().Format(nameStamp) + nameSuffix
	if zip {
		name += ".gz"
	}
	return name
}

// timeOf is the time in such a name; ok is false for any other.
func timeOf(name string) (at time.Time, ok bool) {
	stamp, ok := strings.CutPrefix(strings.TrimSuffix(name, ".gz"), namePrefix)
	if !ok {
		return time.Time{}, false
	}
	stamp, ok = strings.CutSuffix(stamp, nameSuffix)
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(nameStamp, stamp)
	return at, err == nil
}
