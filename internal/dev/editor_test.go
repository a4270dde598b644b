package dev

import (
	"slices"
	"strings"
	"testing"
)

func TestKeysBecomeLines(t *testing.T) {
	tests := []struct {
		name, keys string
		lines      []string
		left       string
		end        bool
	}{
		{name: "a line", keys: "status\r", lines: []string{"status"}},
		{name: "two at once", keys: "a\rb\n", lines: []string{"a", "b"}},
		{name: "unfinished", keys: "kill ma", left: "kill ma"},
		{name: "corrected", keys: "kilx\x7fl\x08l\r", lines: []string{"kill"}},
		{name: "nothing to correct", keys: "\x7f\x7fa\r", lines: []string{"a"}},
		{name: "line dropped", keys: "abc\x15d\r", lines: []string{"d"}},
		{name: "word dropped", keys: "kill redis-1 \x17master\r", lines: []string{"kill master"}},
		{name: "other keys do nothing", keys: "a\x01\x07\xc3\xa9\tb\r", lines: []string{"ab"}},
		{name: "an escape sequence does nothing", keys: "a\x1b[3~\x1bOP\x1bxb\r", lines: []string{"ab"}},
		{name: "arrow up", keys: "one\rtwo\r\x1b[A\x1b[A\r", lines: []string{"one", "two", "one"}},
		{name: "arrow up and down", keys: "one\rtwo\r\x1b[A\x1b[A\x1b[B\r", lines: []string{"one", "two", "two"}},
		{name: "arrow down at the end", keys: "one\r\x1b[B\r", lines: []string{"one", ""}},
		{name: "Ctrl-D on an empty line", keys: "\x04", end: true},
		{name: "Ctrl-D on a line", keys: "a\x04", left: "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var whole, single editor
			lines, end := whole.feed([]byte(tt.keys))
			if !slices.Equal(lines, tt.lines) || end != tt.end || string(whole.line) != tt.left {
				t.Errorf("lines %q, end %v, left %q", lines, end, whole.line)
			}
			var bytewise []string
			for _, k := range []byte(tt.keys) {
				l, _ := single.feed([]byte{k})
				bytewise = append(bytewise, l...)
			}
			if !slices.Equal(bytewise, tt.lines) {
				t.Errorf("key by key: %q", bytewise)
			}
		})
	}
}

func FuzzEditor(f *testing.F) {
	f.Add([]byte("kill master\r\x1b[A\x1b[B\x04"))
	f.Fuzz(func(t *testing.T, keys []byte) {
		var e editor
		lines, _ := e.feed(keys)
		for _, l := range append(lines, string(e.line)) {
			if len(l) > maxTyped || strings.ContainsFunc(l, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("line %q", l)
			}
		}
		if len(e.history) > maxHistory {
			t.Errorf("%d lines of history", len(e.history))
		}
	})
}
