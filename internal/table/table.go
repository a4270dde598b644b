// Package table sets rows of text in columns for a terminal.
package table

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Row is one line: its cells, and how it looks.
type Row struct {
	Cells []string
	Tone  Tone
}

// Of is a row.
func Of(t Tone, cells ...string) Row { return Row{cells, t} }

// Tone is the colour of a row on a terminal.
type Tone string

// The tones, by what they say.
const (
	Plain Tone = ""
	Good  Tone = "\x1b[32m"
	Bad   Tone = "\x1b[31m"
	Warn  Tone = "\x1b[33m"

	reset = "\x1b[0m"
)

// Layout sets the cells in columns, in lines of at most width characters; 0: any. The
// last cell of a row needs no room of its own, so a long sentence may stand there.
func Layout(rows []Row, width int, colour bool) []string {
	widths := columns(rows)
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		line := Cut(r.line(widths), width)
		if colour && r.Tone != Plain {
			line = string(r.Tone) + line + reset
		}
		lines = append(lines, line)
	}
	return lines
}

// columns is how wide each column is.
func columns(rows []Row) (widths []int) {
	for _, r := range rows {
		for i, c := range r.Cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(r.Cells)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
	}
	return widths
}

func (r Row) line(widths []int) string {
	var b strings.Builder
	for i, c := range r.Cells {
		if i == len(r.Cells)-1 {
			b.WriteString(c)
			break
		}
		fmt.Fprintf(&b, "%-*s  ", widths[i], c)
	}
	return strings.TrimRight(b.String(), " ")
}

// Cut shortens a line to width characters; 0: it may have any.
func Cut(line string, width int) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width])
}

// Size is a number of bytes for people.
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
