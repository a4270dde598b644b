package dev

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/evercache/evercache/internal/table"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

func TestTables(t *testing.T) {
	for name, s := range map[string]Snapshot{
		"set": wellSet(), "failover": duringFailover(), "cluster": wellCluster(), "one": wellOne(),
		"silent": with(wellSet(), func(s *Snapshot) {
			s.Nodes[0].Life, s.Nodes[1].Silent, s.Sentinels[0].Life, s.Sentinels[1].Silent = stopped, true, dead, true
		}),
		"clusterdown": with(wellCluster(), func(s *Snapshot) { gone(s, 0); s.Nodes[1].State = "fail"; s.Nodes[5].LinkUp = false }),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".golden", strings.Join(table.Layout(s.table(), 0, false), "\n")+"\n")
			golden(t, name+"_colour.golden", strings.Join(table.Layout(s.table(), 0, true), "\n")+"\n")
		})
	}
}

func TestTheBlockFitsTheWindow(t *testing.T) {
	for _, w := range [][2]int{{80, 24}, {40, 24}, {80, 5}, {20, 3}, {2, 1}} {
		lines := block(duringFailover(), "degraded: memory answers", "kill master", w[0], w[1], false)
		if len(lines) > max(1, w[1]) {
			t.Errorf("%v: %d lines", w, len(lines))
		}
		for _, l := range lines {
			if utf8.RuneCountInString(l) >= w[0] {
				t.Errorf("%v: %q is too long", w, l)
			}
		}
		if last := lines[len(lines)-1]; w[0] > 20 && last != "dev> kill master" {
			t.Errorf("%v: the prompt is %q", w, last)
		}
	}
}

// shown is what a terminal that knows our three sequences shows.
func shown(text string) []string {
	lines, at := []string{""}, 0
	for text != "" {
		switch {
		case strings.HasPrefix(text, erase):
			lines[at], lines, text = "", lines[:at+1], text[len(erase):]
		case strings.HasPrefix(text, "\x1b["):
			n := 0
			text = text[2:]
			for ; text[0] != 'A'; text = text[1:] {
				n = 10*n + int(text[0]-'0')
			}
			at, text = at-n, text[1:]
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
			text = text[1:]
		default:
			lines[at] += text[:1]
			text = text[1:]
		}
	}
	return lines
}

func TestLinesStayAboveTheBlock(t *testing.T) {
	var s screen
	text := "before\r\n" + s.frame([]string{"one"}, []string{"table", "> "})
	text += s.frame(nil, []string{"table 2", "more", "> k"})
	text += s.frame([]string{"two", "three"}, []string{"table 3", "> ki"})
	if diff := cmp.Diff([]string{"before", "one", "two", "three", "table 3", "> ki"}, shown(text)); diff != "" {
		t.Error(diff)
	}
	text += s.frame(nil, []string{"\r"})
	if diff := cmp.Diff([]string{"before", "one", "two", "three", ""}, shown(text)); diff != "" {
		t.Errorf("at the end: %s", diff)
	}
}
