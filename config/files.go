package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/evercache/evercache"
)

// maxPEMBytes bounds a file of certificates: the bundle of a whole system is
// about 250 KiB.
const maxPEMBytes = 2 << 20

// files is the one thing outside the environment that FromEnv looks at.
type files interface {
	// read returns a whole file of at most so many bytes, and who may read it.
	read(path string, most int64) ([]byte, fs.FileMode, error)
}

type disk struct{}

var (
	errNotRegular = errors.New("is not a regular file")
	errTooLarge   = errors.New("is too large")
)

func (disk) read(path string, most int64) ([]byte, fs.FileMode, error) {
	// Before it is opened: opening a pipe would wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return nil, 0, err
	} else if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = errTooLarge
	}
	return data, info.Mode(), err
}

// ReadSecret reads a file that holds a secret as FromEnv does: the line end at
// its end does not count, it must not be empty, and 64 KiB are the most. The
// path is not in the error: it may be a secret put into the wrong variable.
func ReadSecret(path string) (evercache.Secret, error) {
	s, _, err := readSecret(disk{}, path)
	return s, err
}

func readSecret(f files, path string) (evercache.Secret, fs.FileMode, error) {
	data, mode, err := f.read(path, maxValueBytes)
	if err != nil {
		return "", 0, errors.New(fileTrouble(err))
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(data) == 0 {
		return "", 0, errors.New("is empty")
	}
	return evercache.Secret(data), mode, nil
}

// fileTrouble says what is wrong with a file without naming it.
func fileTrouble(err error) string {
	switch {
	case errors.Is(err, errNotRegular), errors.Is(err, errTooLarge):
		return err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by this process"
	}
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Sprintf("cannot be read (%v)", cause.Err)
	}
	return "cannot be read"
}

// secretFrom gives the secret that a variable or its _FILE holds, checked.
func (r *reader) secretFrom(name string, value evercache.Secret, path string) evercache.Secret {
	fileName := name + "_FILE"
	if r.set(name) && r.set(fileName) {
		r.unusable(fileName, name+" is set too", "give one of them")
		return value
	}
	if path == "" {
		return value
	}
	value, mode, err := readSecret(r.files, path)
	if err != nil {
		r.unusable(fileName, r.secretFile(path)+" "+err.Error(), "give the path of a file that holds the secret and nothing else")
		return ""
	}
	r.checkMode(fileName, path, mode)
	r.decidedBy("file", name, value.String())
	return value
}

// secretFile names a file in a fault, unless it could be the secret itself,
// set under the wrong name.
func (r *reader) secretFile(path string) string {
	if !filepath.IsAbs(path) {
		return "the file"
	}
	return r.file(path)
}

func (r *reader) file(path string) string {
	if r.hides(path) {
		return "the file"
	}
	return quote(path)
}
