package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is something of others that is in the binary.
type module struct {
	path, version, sum string
	licence            string // its SPDX identifier
	texts              []text // as they lie in the module
}

type text struct{ file, body string }

// modules lists what the binary was linked with, the standard library included.
func (r *release) modules(info *buildinfo.BuildInfo) ([]module, error) {
	out, err := output(r.tree, []string{"GOFLAGS=", "GOWORK=off"}, "go", "list", "-mod=readonly", "-m", "-json", "all")
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var m struct{ Path, Version, Dir string }
		if err := dec.Decode(&m); err != nil {
			return nil, err
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
	root, err := output(r.tree, nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	goVersion, _, _ := strings.Cut(info.GoVersion, " ")
	std, err := licensed(module{path: "std", version: strings.TrimPrefix(goVersion, "go")}, root)
	all := []module{std}
	if err != nil {
		return nil, err
	}
	for _, d := range info.Deps {
		if d.Replace != nil {
			return nil, fmt.Errorf("%s is replaced by %s: a release has none of that", d.Path, d.Replace.Path)
		}
		dir := dirs[d.Path+"@"+d.Version]
		if dir == "" {
			return nil, fmt.Errorf("%s@%s is not in the module cache: go mod download", d.Path, d.Version)
		}
		m, err := licensed(module{path: d.Path, version: d.Version, sum: d.Sum}, dir)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

var licenceNames = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licensed reads the licence of a module from its folder.
func licensed(m module, dir string) (module, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return m, err
	}
	for _, f := range files {
		if !f.Type().IsRegular() || !licenceNames.MatchString(f.Name()) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return m, err
		}
		m.texts = append(m.texts, text{f.Name(), string(body)})
		if id := classify(string(body)); id != "" && m.licence == "" {
			m.licence = id
		}
	}
	if !slices.Contains(accepted, m.licence) {
		return m, fmt.Errorf("the licence of %s@%s is %q, which nobody has looked at: read it, then teach tools/dist", m.path, m.version, m.licence)
	}
	return m, nil
}

// accepted are licences under which a binary may be handed on together with ours.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// signs are sentences that only one licence has all of. The first that fits counts.
var signs = []struct {
	id  string
	all []string
}{
	{"Apache-2.0", []string{"apache license version 2.0, january 2004", "grant of patent license"}},
	{"GPL", []string{"gnu general public license"}},
	{"LGPL", []string{"gnu lesser general public license"}},
	{"AGPL", []string{"gnu affero general public license"}},
	{"MPL-2.0", []string{"mozilla public license version 2.0"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name", "without specific prior written permission"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "this software is provided by"}},
	{"MIT", []string{"permission is hereby granted, free of charge", "the above copyright notice and this permission notice shall be included", "without warranty of any kind"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}},
}

var blanks = regexp.MustCompile(`[\s*#/]+`)

// classify names a licence; "": not one that is known here.
func classify(body string) string {
	flat := strings.ToLower(blanks.ReplaceAllString(body, " "))
	for _, s := range signs {
		if !slices.ContainsFunc(s.all, func(sign string) bool { return !strings.Contains(flat, sign) }) {
			return s.id
		}
	}
	return ""
}

// licenceFile is every text, once for each module.
func licenceFile(modules []module) []byte {
	var b strings.Builder
	b.WriteString("evercache contains the following software of others.\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "\n%s\n%s %s (%s)\n", strings.Repeat("=", 80), m.path, m.version, m.licence)
		for _, t := range m.texts {
			fmt.Fprintf(&b, "%s\n%s:\n\n%s\n", strings.Repeat("-", 80), t.file, strings.TrimRight(t.body, "\n"))
		}
	}
	return []byte(b.String())
}
