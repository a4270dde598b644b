// Command pictures draws the pictures of the documents. The figures come from the
// tables of bench/RESULTS.md.
//
//	cd tools && go run ./pictures
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// top is the top of the tree, seen from the folder tools.
const top = ".."

func main() {
	if err := draw(top); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// draw writes every picture.
func draw(top string) error {
	all, err := pictures(top)
	if err != nil {
		return err
	}
	for name, svg := range all {
		if err := os.WriteFile(filepath.Join(top, "docs", "pictures", name), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pictures are the pictures by the names of their files.
func pictures(top string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(top, "bench", "RESULTS.md"))
	if err != nil {
		return nil, err
	}
	failover, err := failoverPicture(string(text))
	if err != nil {
		return nil, fmt.Errorf("bench/RESULTS.md: %w", err)
	}
	return map[string]string{"failover.svg": failover, "architecture.svg": architecturePicture(), "before-after.svg": beforeAfterPicture()}, nil
}
