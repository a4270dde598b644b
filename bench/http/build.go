package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// build makes the binary in its own module, whose versions count.
func build(ctx context.Context, dir string) (binary string, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/evercache/evercache").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	binary = filepath.Join(dir, "evercache")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/evercache")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}
