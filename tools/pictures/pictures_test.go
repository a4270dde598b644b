package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const treeFromHere = "../.."

// TestThePicturesAreFresh: they show what bench/RESULTS.md says.
func TestThePicturesAreFresh(t *testing.T) {
	all, err := pictures(treeFromHere)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join(treeFromHere, "docs", "pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is stale: cd tools && go run ./pictures", name)
		}
		wellFormed(t, name, want)
	}
}

func wellFormed(t *testing.T, name, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

// TestAFigureThatIsMissingIsAnError, and no picture is drawn without it.
func TestAFigureThatIsMissingIsAnError(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(treeFromHere, "bench", "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{
		"### kill -9 of the master", "### Lost / resurrected / failed", "on another node: 1", "`ROLE master` to first landed write, ms",
	} {
		if !strings.Contains(string(data), gone) {
			t.Errorf("the tables have no %q any more", gone)
		}
		if _, err := failoverPicture(strings.ReplaceAll(string(data), gone, "")); err == nil {
			t.Errorf("without %q: no error", gone)
		}
	}
}
