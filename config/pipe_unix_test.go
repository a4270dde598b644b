//go:build unix

package config

import (
	"path/filepath"
	"syscall"
	"testing"
)

func TestAPipeDoesNotHoldUpTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := ReadSecret(path); err == nil || err.Error() != "is not a regular file" {
		t.Errorf("ReadSecret = %v", err)
	}
}
