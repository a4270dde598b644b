package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// platform builds for one platform, and names the files it has made.
func (r *release) platform(name string) ([]string, error) {
	system, arch, ok := strings.Cut(name, "/")
	if !ok {
		return nil, fmt.Errorf("want os/arch, such as linux/amd64")
	}
	work, err := os.MkdirTemp("", "dist-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }() // a temporary directory
	binary := filepath.Join(work, "evercache")
	environ := []string{"CGO_ENABLED=0", "GOOS=" + system, "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off"}
	if r.cache != "" {
		environ = append(environ, "GOCACHE="+r.cache)
	}
	build := []string{"build", "-mod=readonly", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", binary, "./cmd/evercache"}
	if procs := os.Getenv("DIST_PROCS"); procs != "" {
		build = slices.Insert(build, 1, "-p="+procs)
	}
	if _, err := output(r.tree, environ, "go", build...); err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	if info.Main.Version == "" || info.Main.Version == "(devel)" {
		return nil, fmt.Errorf("the binary does not know its version: is this a git repository that git trusts?")
	}
	modules, err := r.modules(info)
	if err != nil {
		return nil, err
	}
	bill, err := materials(info, modules, r.at)
	if err != nil {
		return nil, err
	}
	base := fmt.Sprintf("evercache_%s_%s_%s", info.Main.Version, system, arch)
	archive, err := r.archive(base, binary, modules, bill)
	if err != nil {
		return nil, err
	}
	made := map[string][]byte{base + ".tar.gz": archive, base + ".cdx.json": bill}
	var names []string
	for file, data := range made {
		if err := os.WriteFile(filepath.Join(r.out, file), data, 0o644); err != nil { //nolint:gosec // for everybody
			return nil, err
		}
		names = append(names, file)
	}
	slices.Sort(names)
	return names, nil
}

// archive is a folder with the binary and what must go with it.
func (r *release) archive(base, binary string, modules []module, bill []byte) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	files := []entry{
		{base + "/evercache", 0o755, program},
		{base + "/THIRD_PARTY_LICENSES.txt", 0o644, licenceFile(modules)},
		{base + "/evercache.cdx.json", 0o644, bill},
	}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"} {
		data, err := os.ReadFile(filepath.Join(r.tree, name))
		if err != nil {
			return nil, err
		}
		files = append(files, entry{base + "/" + name, 0o644, data})
	}
	return pack(files, r.at)
}
