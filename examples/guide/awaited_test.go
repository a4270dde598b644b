package guide_test

import (
	"os"
	"path/filepath"
	"testing"
)

// awaited are files that the documents name and that are written elsewhere at this moment.
// A link to one of them is no fault. TestNothingIsAwaitedThatIsThere keeps the list short.
var awaited []string

// awaitedTargets are those of the Makefile.
var awaitedTargets []string

// isAwaited knows a path from the top of the tree, or from this folder.
func isAwaited(path string) bool {
	for _, a := range awaited {
		if filepath.Clean(path) == filepath.FromSlash(a) || filepath.Clean(path) == filepath.Join(top, filepath.FromSlash(a)) {
			return true
		}
	}
	return false
}

func TestNothingIsAwaitedThatIsThere(t *testing.T) {
	for _, a := range awaited {
		if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(a))); err == nil {
			t.Errorf("%s is there: take it off the list of awaited files", a)
		}
	}
	targets := whatExists(t).targets
	for _, a := range awaitedTargets {
		if targets[a] {
			t.Errorf("make %s is there: take it off the list of awaited targets", a)
		}
	}
}
