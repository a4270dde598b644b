package drill

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Markdown is the report as a page.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Drill: %s, %s\n\n", r.Trigger, r.Outcome)
	name := ""
	if r.MasterName != "" {
		name = " " + code(r.MasterName)
	}
	fmt.Fprintf(&b, "%s. Mode %s%s, %d calls a second of each client for %.1f s, keys `drill:%s:*`.\n", r.At.Format(time.RFC3339), r.Mode, name, r.Rate, r.TrafficMS/1000, cell(r.ID))
	if r.Did != "" {
		fmt.Fprintf(&b, "The trigger: %s.\n", cell(strings.TrimSuffix(r.Did, ".")))
	}
	b.WriteString("\n| callers felt |")
	for _, c := range r.Clients {
		fmt.Fprintf(&b, " %s |", cell(c.Name))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Clients)) + "\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s |", f.name)
		for _, c := range r.Clients {
			fmt.Fprintf(&b, " %s |", cell(f.of(c)))
		}
		b.WriteString("\n")
	}
	if rows := r.marks(); len(rows) > 0 {
		b.WriteString("\n| after the trigger | |\n|---|---|\n")
		for _, m := range rows {
			fmt.Fprintf(&b, "| %s | %s |\n", m[0], m[1])
		}
	}
	if len(r.Gates) > 0 {
		b.WriteString("\n| gate | at most | was | |\n|---|---|---|---|\n")
		for _, g := range r.Gates {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.Name, g.Want, cell(g.Got), g.word())
		}
	}
	if len(r.Faults) > 0 {
		b.WriteString("\n")
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "- fault: %s\n", cell(f))
	}
	if len(r.Events) > 0 {
		b.WriteString("\n| ms after the trigger | who | what |\n|---|---|---|\n")
		for _, e := range r.Events {
			fmt.Fprintf(&b, "| %.0f | %s | %s |\n", e.AtMS, cell(e.Who), cell(e.Text))
		}
	}
	return b.String()
}

// cell is a text that breaks no table, and in which nothing is a link, a picture or HTML: it may be what a server has
// sent.
func cell(text string) string { return markdown.Replace(printable(text)) }

// printable is a text in one line, without what tells a terminal what to do.
func printable(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

var markdown = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "~", `\~`,
)

// code is a text between backquotes, where nothing else means anything.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "¦").Replace(printable(text)) + "`"
}
