package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestAnArchiveFollowsFromItsFiles(t *testing.T) {
	files := []entry{{"e/b", 0o644, []byte("two")}, {"e/a", 0o755, []byte("one")}}
	first, err := pack(files, at)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pack([]entry{files[1], files[0]}, at)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("another order makes another archive, %v", err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	r, names := tar.NewReader(zip), ""
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names += h.Name + " "
		if !h.ModTime.Equal(at) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if names != "e/a e/b " {
		t.Errorf("it holds %s", names)
	}
}

func TestLicencesAreToldApart(t *testing.T) {
	ours, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	bsd := "Redistribution and use in source and binary\n// forms, with or without … THIS SOFTWARE IS PROVIDED BY …"
	for body, want := range map[string]string{
		string(ours): "Apache-2.0",
		bsd:          "BSD-2-Clause",
		bsd + "Neither the name of … without specific prior written permission": "BSD-3-Clause",
		"GNU GENERAL PUBLIC LICENSE Version 3":                                  "GPL",
		"You may do what you like.":                                             "",
	} {
		if got := classify(body); got != want {
			t.Errorf("%.40q is %q, want %q", body, got, want)
		}
	}
}

func TestALicenceThatNobodyKnowsStopsARelease(t *testing.T) {
	for body, want := range map[string]string{"You may do what you like.": `""`, "GNU General Public License": `"GPL"`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := licensed(module{path: "example.com/x", version: "v1.0.0"}, dir); err == nil || !strings.Contains(err.Error(), "example.com/x@v1.0.0 is "+want) {
			t.Errorf("%q: %v", body, err)
		}
	}
	if _, err := licensed(module{path: "example.com/none"}, t.TempDir()); err == nil {
		t.Error("a module without a licence is taken")
	}
}

func TestTheBillListsWhatIsInTheBinary(t *testing.T) {
	info := &buildinfo.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}
	modules := []module{{path: "std", version: "1.26.0", licence: "BSD-3-Clause"}, {path: "example.com/x", version: "v1.0.0", sum: "h1:abc=", licence: "MIT"}}
	data, err := materials(info, modules, at)
	if err != nil {
		t.Fatal(err)
	}
	again, err := materials(info, modules, at)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("two bills differ, %v", err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Version != "v1.2.3" || bom.Metadata.Timestamp != "2026-01-02T03:04:05Z" {
		t.Errorf("%+v, %s", c, bom.Metadata.Timestamp)
	}
	if n := len(*bom.Components); n != 2 || (*bom.Components)[1].PackageURL != "pkg:golang/example.com/x@v1.0.0" {
		t.Errorf("%d components: %s", n, data)
	}
}

func TestADifferenceBetweenTwoBuildsIsFound(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	put := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := same(a, b); err == nil {
		t.Error("two builds of nothing are the same")
	}
	put(a, "x", "1")
	put(b, "x", "1")
	if err := same(a, b); err != nil {
		t.Error(err)
	}
	put(b, "x", "2")
	if err := same(a, b); err == nil || !strings.Contains(err.Error(), "differ in x") {
		t.Errorf("%v", err)
	}
	put(b, "y", "")
	if err := same(a, b); err == nil || !strings.Contains(err.Error(), "different files") {
		t.Errorf("%v", err)
	}
}

func TestOnlyWhatIsCommittedIsBuilt(t *testing.T) {
	dir, there := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	if err := os.WriteFile(filepath.Join(dir, "in"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"add", "in"},
		{"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "x"},
	} {
		if _, err := output(dir, nil, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "out"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clone(dir, there); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(there, "[a-z]*")); err != nil || len(files) != 1 || filepath.Base(files[0]) != "in" {
		t.Errorf("the clone holds %q, %v", files, err)
	}
	r := release{tree: there}
	if err := r.commit(); err != nil || time.Since(r.at) > time.Hour {
		t.Errorf("%v, %v", r.at, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	if err := r.commit(); err != nil || !r.at.Equal(time.Unix(86400, 0)) {
		t.Errorf("%v, %v", r.at, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "soon")
	if err := r.commit(); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("%v", err)
	}
}
