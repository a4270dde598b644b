package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/evercache/evercache/health"
)

func (r *reader) unknownFinding() []health.Finding {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		if position(name) >= 0 {
			continue
		}
		text := printable(name)
		if near := nearest(name); near != "" {
			text += " (did you mean " + near + "?)"
		}
		names = append(names, text)
	}
	if len(names) == 0 {
		return nil
	}
	return []health.Finding{unknownName.finding(
		"Not a setting, and ignored: "+listed(names)+".",
		"Correct the name, or unset it. docs/configuration.md lists every setting.",
	)}
}

// printable keeps a name on one line and short.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if asciiAlnum(c) || c == '_' {
			return c
		}
		return '?'
	}, name)
	if len(name) > maxShown {
		return name[:maxShown] + "…"
	}
	return name
}

// nearest is the setting that was probably meant, or "".
func nearest(name string) string {
	if len(name) > maxShown {
		return ""
	}
	best, least := "", 3
	for _, s := range settings {
		if d := distance(name, s.name); d < least && d <= slips(name) {
			best, least = s.name, d
		}
	}
	if best == "" {
		best = shortestBeginning(name)
	}
	return best
}

// slips is how many typing errors a name may have: in a short one two would
// turn it into anything.
func slips(name string) int {
	_, own, _ := strings.Cut(name, "_")
	if len(own) <= 4 {
		return 1
	}
	return 2
}

// shortestBeginning finds the setting that was cut short: REDIS_PASS, REDIS_USER.
func shortestBeginning(name string) string {
	best := ""
	if _, own, _ := strings.Cut(name, "_"); len(own) < 3 {
		return best
	}
	for _, s := range settings {
		if strings.HasPrefix(s.name, name) && (best == "" || len(s.name) < len(best)) {
			best = s.name
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to come from a to b.
func distance(a, b string) int {
	above, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above[j-1]+1)
			}
		}
		above, last = last, row
	}
	return last[len(b)]
}
