//go:build !unix || aix || solaris

package dev

import (
	"errors"
	"io/fs"
	"os"
)

// Redis does not run here: Run says so, and the rest only compiles.

func lockFile(*os.File) error { return errors.ErrUnsupported }

func ownedByUs(fs.FileInfo) bool { return true }

func killGroup(int) error { return errors.ErrUnsupported }

func startOf(int) (string, error) { return "", errors.ErrUnsupported }
