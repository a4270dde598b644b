package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The page is all tables on one page: short runs, and of each peer the setup that is like
// evercache's own. Long tables say more about one of them.
const (
	pageTables   = "hit,read,write,get-many,set-many,set,delete,fill"
	pageOnly     = `evercache|as evercache, (100|250) ms|^hit/`
	pageRepeat   = 9
	pageDuration = 60 * time.Millisecond
)

// asPage sets what the page is made with, where the command line does not say.
func (o *options) asPage(given func(flag string) bool, tables *string) {
	if !given("tables") {
		*tables = pageTables
	}
	if !given("only") {
		o.only = regexp.MustCompile(pageOnly)
	}
	if !given("repeat") {
		o.repeat = pageRepeat
	}
	if !given("duration") {
		o.length = pageDuration
	}
}

// page prints one table of all suites that go to Redis, and the others as they are.
func (r report) page(out io.Writer, suites []suite) error {
	var b strings.Builder
	b.WriteString(r.Environment.markdown())
	for _, s := range suites {
		if s.servers == nil {
			s.table(&b, r.Cells)
		}
	}
	b.WriteString("\n## What an operation costs\n\nProcessor time of the client and of the master together. Rows of evercache: µs for an operation. Rows of a peer: its cost over that of evercache, " +
		"paired within a repetition; below 1 the peer is cheaper.\n\n| table | subject |")
	for _, level := range levels {
		fmt.Fprintf(&b, " %d |", level)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(levels)) + "\n")
	for _, s := range suites {
		if s.servers != nil {
			s.lines(&b, r.Cells)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// lines is a row for each subject of a suite, with a cell for each level.
func (s suite) lines(b *strings.Builder, all []cell) {
	var subjects []string
	at := make(map[string]cell)
	first := make(map[int]cell)
	for _, c := range all {
		if c.Table != s.name || len(c.Samples) == 0 {
			continue
		}
		if !slices.Contains(subjects, c.Subject) {
			subjects = append(subjects, c.Subject)
		}
		at[cellName(s.name, c.Level, c.Subject)] = c
		if _, ok := first[c.Level]; !ok {
			first[c.Level] = c
		}
	}
	for i, subject := range subjects {
		fmt.Fprintf(b, "| %s | %s |", s.name, subject)
		for _, level := range levels {
			c, ok := at[cellName(s.name, level, subject)]
			switch {
			case !ok:
				b.WriteString(" – |")
			case i == 0:
				fmt.Fprintf(b, " %s |", spreadOf(figures(c, cost)).text(digits))
			default:
				fmt.Fprintf(b, " %s |", costOf.write(c, first[level]))
			}
		}
		b.WriteString("\n")
	}
}
