//go:build !unix || aix || solaris

package journal

import (
	"errors"
	"io/fs"
	"os"
)

// takeLock fails: without a lock two processes would write one file.
func takeLock(*os.Root) (*os.File, error) { return nil, errors.ErrUnsupported }

func othersWrite(fs.FileInfo) bool { return false }

func ownedByOther(fs.FileInfo, int) bool { return false }

func noSpace(error) bool { return false }
