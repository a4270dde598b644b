package doctor

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/health"
)

// columns is how wide the text is.
const columns = 96

// colours are the escape sequences for each severity.
var colours = map[health.Severity]string{
	health.SeverityError: "\x1b[1;31m", health.SeverityWarning: "\x1b[1;33m", health.SeverityInfo: "\x1b[1;36m",
}

const plain = "\x1b[0m"

// Text is the report for people.
func (r Report) Text(colour bool) string {
	var b strings.Builder
	if r.Plan != "" {
		fmt.Fprintf(&b, "plan: from %s to %s\n", r.Mode, r.Plan)
	} else if !r.At.IsZero() {
		fmt.Fprintf(&b, "mode: %s%s\n", r.Mode, of(r.MasterName))
	}
	for _, line := range r.groups {
		b.WriteString("  " + line + "\n")
	}
	for i := 0; i < len(r.Findings); {
		n := r.alike(i)
		b.WriteString("\n")
		writeFinding(&b, r.Findings[i:i+n], colour)
		i += n
	}
	b.WriteString("\n" + r.Summary() + "\n")
	return b.String()
}

func of(name string) string {
	if name == "" {
		return ""
	}
	return ", master name " + name
}

// alike is how many findings from i on say the same of several servers.
func (r Report) alike(i int) int {
	first, n := r.Findings[i], 1
	for _, f := range r.Findings[i+1:] {
		if f.Code != first.Code || f.Severity != first.Severity || f.Title != first.Title || f.Fix != first.Fix {
			break
		}
		n++
	}
	return n
}

func writeFinding(b *strings.Builder, fs []Finding, colour bool) {
	f := fs[0]
	severity := string(f.Severity)
	if colour {
		severity = colours[f.Severity] + severity + plain
	}
	fmt.Fprintf(b, "%s  %s: %s\n", severity, f.Code, f.Title)
	for i, one := range fs {
		label := "seen"
		if i > 0 {
			label = ""
		}
		text := one.Detail
		if one.Subject != "" {
			text = one.Subject + ": " + text
		}
		writePart(b, label, strings.TrimSuffix(text, ": "))
	}
	writePart(b, "why", f.Why)
	writePart(b, "fix", f.Fix)
}

// writePart writes a paragraph with a word in front of it.
func writePart(b *strings.Builder, label, text string) {
	if text == "" {
		return
	}
	for i, line := range wrap(text, columns-8) {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(b, "  %-4s  %s\n", label, line)
	}
}

// wrap breaks a text into lines; a word that is longer than one stays whole.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// Summary is the last line. It counts what the text shows: one fault of several servers is one.
func (r Report) Summary() string {
	count := map[health.Severity]int{}
	for i := 0; i < len(r.Findings); i += r.alike(i) {
		count[r.Findings[i].Severity]++
	}
	text := "no error, no warning"
	if e, w := count[health.SeverityError], count[health.SeverityWarning]; e+w > 0 {
		text = counted(e, "error") + ", " + counted(w, "warning")
	}
	return fmt.Sprintf("%s, %d info", text, count[health.SeverityInfo])
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
