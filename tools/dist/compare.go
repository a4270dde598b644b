package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// compare builds the last commit twice, in folders of different names and the second
// time without anything that was built before, and reports every difference.
func compare(tree, platform string) error {
	work, err := os.MkdirTemp("", "dist-check-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a temporary directory
	runs := []release{
		{tree: filepath.Join(work, "one")},
		{tree: filepath.Join(work, "two", "and", "deeper"), cache: filepath.Join(work, "cache")},
	}
	for i := range runs {
		r := &runs[i]
		if err := clone(tree, r.tree); err != nil {
			return err
		}
		r.platforms, r.out = []string{platform}, filepath.Join(work, fmt.Sprint("out", i))
		if err := r.make(); err != nil {
			return err
		}
	}
	if err := same(runs[0].out, runs[1].out); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(runs[0].out, "SHA256SUMS"))
	if err != nil {
		return err
	}
	fmt.Printf("dist: two builds are the same, byte for byte\n%s", sums)
	return nil
}

// same reports the first difference between the files of two folders.
func same(a, b string) error {
	var lists [2][]string
	for i, dir := range []string{a, b} {
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			lists[i] = append(lists[i], f.Name())
		}
	}
	if len(lists[0]) == 0 || !slices.Equal(lists[0], lists[1]) {
		return fmt.Errorf("the builds made different files: %q, then %q", lists[0], lists[1])
	}
	for _, name := range lists[0] {
		one, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			return err
		}
		two, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(one, two) {
			return fmt.Errorf("two builds of one commit differ in %s", name)
		}
	}
	return nil
}
