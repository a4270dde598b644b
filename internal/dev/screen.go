package dev

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/evercache/evercache/internal/table"
)

// Terminal is where a person sits.
type Terminal struct {
	in, out *os.File
	colour  bool
}

// NewTerminal is nil unless both files are terminals that can be drawn upon.
func NewTerminal(in, out *os.File, environ []string) *Terminal {
	if lookUp(environ, "TERM") == "dumb" || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return &Terminal{in, out, lookUp(environ, "NO_COLOR") == ""}
}

// raw gives every key to us, as it is typed, until restore.
func (t *Terminal) raw() (restore func() error, err error) {
	old, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read single keys: %w", err)
	}
	return func() error { return term.Restore(int(t.in.Fd()), old) }, nil
}

// size is that of the window. A terminal that does not tell has the usual one.
func (t *Terminal) size() (width, height int) {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// screen is the end of a terminal: lines that stay and scroll up, and below them a block that is drawn
// anew, with the prompt in its last line.
type screen struct{ drawn int }

const (
	up    = "\x1b[%dA"
	erase = "\x1b[J"
)

// frame is what to write to have lines added, and the block in place of the one before.
func (s *screen) frame(lines, block []string) string {
	var b strings.Builder
	if s.drawn > 0 {
		b.WriteString("\r")
		if s.drawn > 1 {
			fmt.Fprintf(&b, up, s.drawn-1)
		}
		b.WriteString(erase)
	}
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	b.WriteString(strings.Join(block, "\r\n"))
	s.drawn = len(block)
	return b.String()
}

// block is the servers, the service, and what is being typed. It fits the window.
func block(now Snapshot, service, typed string, width, height int, colour bool) []string {
	width-- // a full line would wrap on some terminals
	lines := []string{""}
	lines = append(lines, table.Layout(now.table(), width, colour)...)
	if service != "" {
		lines = append(lines, table.Cut("evercache  "+service, width))
	}
	prompt := table.Cut("dev> "+typed, width)
	if room := max(0, height-2); len(lines) > room {
		lines = lines[:room]
	}
	return append(lines, prompt)
}
