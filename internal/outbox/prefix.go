package outbox

import (
	"slices"
	"strings"
)

// Prefix is the wish to delete all keys that begin with Text and were written
// before it.
type Prefix struct {
	Text   string
	Since  int64
	Lo, Hi int64 // as in a Record
	Seq    uint64
}

// maxPrefixes bounds the prefix deletes that can wait.
const maxPrefixes = 1024

// wish is what is left of a record when even its key has no room.
func (r *Record) wish() Prefix { return Prefix{Text: r.Class, Since: r.Since, Lo: r.Lo, Hi: r.Hi} }

// within reports whether whoever deletes q deletes what p would.
func (p *Prefix) within(q *Prefix) bool {
	return strings.HasPrefix(p.Text, q.Text) && p.Since <= q.Since
}

// covers reports whether r is under p and not newer: deleted by p, or by its
// like that the application asked for no later.
func (p *Prefix) covers(r *Record) bool {
	return r.Since <= p.Since && strings.HasPrefix(r.Key, p.Text)
}

// join deletes what p and q delete, and what is between them. It has no date by
// a master's clock where one of them has none.
func (p *Prefix) join(q *Prefix) Prefix {
	j := Prefix{Text: p.Text[:common(p.Text, q.Text)], Since: max(p.Since, q.Since)}
	if p.Hi != 0 && q.Hi != 0 {
		j.Lo, j.Hi = min(p.Lo, q.Lo), max(p.Hi, q.Hi)
	}
	return j
}

// common is how many bytes two strings begin with in common.
func common(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// closest returns the places of the two texts that begin with the most in
// common, i before j: those whose join deletes the least beside what they do.
func closest(texts []string) (i, j int) {
	order := make([]int, len(texts))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(texts[a], texts[b]) })
	best, at := -1, 1
	for k := 1; k < len(order); k++ {
		if n := common(texts[order[k-1]], texts[order[k]]); n > best {
			best, at = n, k
		}
	}
	return min(order[at-1], order[at]), max(order[at-1], order[at])
}
