package check

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is evercache, built from this tree.
var binary string

// mostAtOnce is how many tests run at the same time: they mostly wait.
const mostAtOnce = "5"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", mostAtOnce); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if binary = os.Getenv("EVERCACHE_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "evercache-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
	binary = filepath.Join(dir, "evercache")
	build := exec.Command("go", "build", "-o", binary, "./cmd/evercache")
	build.Dir, build.Stdout, build.Stderr = "../..", os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build evercache:", err)
		return 1
	}
	return m.Run()
}
