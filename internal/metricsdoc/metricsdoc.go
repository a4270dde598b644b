// Package metricsdoc writes docs/metrics.md: tests give it what a program exposes, and
// it makes a table of it. So the reference cannot differ from the code.
package metricsdoc

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Page is the reference, seen from the root of the module.
const Page = "docs/metrics.md"

// Metric is one family of an exposition.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

// Unit follows from the name: base units are its last word.
func (m Metric) Unit() string {
	name := strings.TrimSuffix(m.Name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix seconds"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"), strings.HasSuffix(name, "_bytes_limit"):
		return "bytes"
	case strings.HasPrefix(m.Help, "1 "), strings.HasSuffix(name, "_info"):
		return "0 or 1"
	}
	return "count"
}

var (
	labelName = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"`)
	suffixes  = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// Parse reads the text that /metrics answers. Metrics of others, such as those of the Go
// runtime, are left out.
func Parse(exposition string) []Metric {
	all := map[string]*Metric{}
	get := func(name string) *Metric {
		if all[name] == nil {
			all[name] = &Metric{Name: name}
		}
		return all[name]
	}
	for line := range strings.Lines(exposition) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			get(name).Help = help
		} else if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			get(name).Type = kind
		} else if line != "" && line[0] != '#' {
			name := line[:strings.IndexAny(line+" ", "{ ")]
			if all[name] == nil {
				name = suffixes.ReplaceAllString(name, "")
			}
			get(name).addLabels(line)
		}
	}
	var own []Metric
	for name, m := range all {
		if strings.HasPrefix(name, "evercache_") {
			own = append(own, *m)
		}
	}
	slices.SortFunc(own, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return own
}

func (m *Metric) addLabels(sample string) {
	for _, l := range labelName.FindAllStringSubmatch(sample, -1) {
		if l[1] != "le" && !slices.Contains(m.Labels, l[1]) {
			m.Labels = append(m.Labels, l[1])
		}
	}
	slices.Sort(m.Labels)
}

// Table shows metrics as a table of Markdown.
func Table(all []Metric) string {
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, m := range all {
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, m.Unit(), labels, strings.ReplaceAll(m.Help, "|", `\|`))
	}
	return b.String()
}

// Replace puts a table into the part of the page between its marks, which begin with
// <!-- part: and <!-- end part -->.
func Replace(page, part, table string) (string, error) {
	begin, end := "<!-- "+part+":", "<!-- end "+part+" -->"
	i := strings.Index(page, begin)
	j := strings.Index(page, end)
	if i < 0 || j < i {
		return "", fmt.Errorf("%s has no part between %q and %q", Page, begin, end)
	}
	i += strings.Index(page[i:], "\n") + 1
	return page[:i] + table + page[j:], nil
}
