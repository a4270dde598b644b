package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someLine is any line of an episode.
type someLine struct {
	T        float64               `json:"t"`
	Src      string                `json:"src"`
	Kind     string                `json:"kind"`
	Scenario string                `json:"scenario"`
	Error    string                `json:"error"`
	Role     []any                 `json:"role"`
	Nodes    json.RawMessage       `json:"nodes"`
	Cluster  map[string]string     `json:"cluster"`
	Info     map[string]string     `json:"info"`
	RunID    string                `json:"run_id"`
	Refused  map[string]string     `json:"refused"`
	What     string                `json:"what"`
	Promoted []change              `json:"promoted"`
	Writes   map[string]writes     `json:"writes"`
	Owners   map[string][]string   `json:"owners"`
	members  map[string]headerNode // of the header
}

func readLines(t *testing.T, data []byte) []someLine {
	t.Helper()
	var all []someLine
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l someLine
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		if l.Kind == "header" {
			if err := json.Unmarshal(l.Nodes, &l.members); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, l)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// silence is for how long a node's lines may be left out, in milliseconds.
const silence = 1400

// checkFormat compares an episode with what the format promises.
func checkFormat(t *testing.T, lines []someLine) {
	t.Helper()
	if len(lines) < 3 || lines[0].Kind != "header" || lines[len(lines)-1].Kind != "truth" {
		t.Fatal("the first line is not the header, or the last not the truth")
	}
	members := lines[0].members
	last := map[string]float64{} // by source and kind
	failed := map[string]bool{}
	at, began, actions := lines[1].T, lines[1].T, 0
	for _, l := range lines[1 : len(lines)-1] {
		if l.T < at {
			t.Errorf("%s at %v comes after %v", l.Kind, l.T, at)
		}
		at = l.T
		if l.Kind == "action" {
			if actions++; actions == 1 && l.T != 0 {
				t.Errorf("the first action is at %v", l.T)
			}
			continue
		}
		if _, known := members[l.Src]; !known || l.Kind != "view" && l.Kind != "barrier" {
			t.Errorf("%s of %s at %v", l.Kind, l.Src, l.T)
		}
		key := l.Src + l.Kind
		if before, seen := last[key]; l.T-before > silence && seen || !seen && l.T-began > silence {
			t.Errorf("%s of %s at %v, before that at %v", l.Kind, l.Src, l.T, before)
		}
		_, seen := last[key]
		full := l.Role != nil && l.Nodes != nil && l.Info != nil && l.Cluster != nil && l.RunID != ""
		if l.Kind == "view" && l.Error == "" && l.Refused == nil && (!seen || failed[l.Src]) && !full {
			t.Errorf("the view of %s at %v is not complete", l.Src, l.T)
		}
		if l.Kind == "view" {
			failed[l.Src] = l.Error != ""
		}
		last[key] = l.T
	}
	for key, before := range last {
		if at-before > silence {
			t.Errorf("nothing of %s after %v, and the end is at %v", key, before, at)
		}
	}
	if actions == 0 || len(last) < 2*len(members)-len(members)/2 {
		t.Errorf("%d actions, %d sources of %d nodes", actions, len(last), len(members))
	}
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return data
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return data
}

const episodes = "../cluster/testdata/episodes"

func TestEpisodesFollowTheirFormat(t *testing.T) {
	seen, size := map[string]bool{}, int64(0)
	err := filepath.WalkDir(episodes, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) == ".md" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		t.Run(filepath.Base(filepath.Dir(file))+"/"+name, func(t *testing.T) {
			if info.Size() > compressed {
				t.Errorf("%d bytes", info.Size())
			}
			lines := readLines(t, unpack(t, file))
			checkFormat(t, lines)
			if lines[0].Scenario != name {
				t.Errorf("the scenario is called %s", lines[0].Scenario)
			}
			if s, found := find(name); !found || len(s.promoted) != len(lines[len(lines)-1].Promoted) {
				t.Errorf("no scenario of that name promotes that many: %v", lines[len(lines)-1].Promoted)
			}
			seen[name] = true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		if !seen[s.name] {
			t.Errorf("there is no episode of %s", s.name)
		}
	}
	if size > 3<<20 {
		t.Errorf("the episodes have %d bytes", size)
	}
}

// What a reader must conclude is written for each scenario.
func TestEveryScenarioIsExplained(t *testing.T) {
	text := string(unpack(t, filepath.Join(episodes, "README.md")))
	for _, s := range scenarios {
		if !strings.Contains(text, "| `"+s.name+"` |") {
			t.Errorf("README.md has no row for %s", s.name)
		}
	}
}
