package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with the environment.
type Fault struct {
	Name    string // the variable
	Problem string // what is wrong
	Fix     string // what to do
}

func (f Fault) String() string { return f.Name + ": " + f.Problem + "; " + f.Fix }

// Faults is the error of FromEnv: everything that is wrong, one per line, in
// the order of the documentation. No line holds a secret.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(position(a.Name), position(b.Name)) })
	return f
}

// problem is what a parser found. Part is the piece of the value to show;
// parsers put nothing of the value into the other two.
type problem struct{ part, what, fix string }

func wrong(part, what, fix string) []problem { return []problem{{part, what, fix}} }

const (
	// maxProblems bounds the lines that one variable can add to an error.
	maxProblems = 20
	// maxShown bounds what is shown of a value.
	maxShown = 64
)

func (r *reader) fault(name, what, fix string) {
	r.faults = append(r.faults, Fault{Name: name, Problem: what, Fix: fix})
}

// unusable is a fault that leaves no value to weigh against others.
func (r *reader) unusable(name, what, fix string) {
	r.bad[name] = true
	r.fault(name, what, fix)
}

// report turns what the parser of a setting found into faults.
func (r *reader) report(s setting, value string, found []problem) {
	for i, p := range found {
		if i == maxProblems {
			r.unusable(s.name, fmt.Sprintf("%d more of the kind", len(found)-i), "see the lines above")
			return
		}
		subject := "the value"
		if !s.secret && p.part != "" && !r.hides(value) && !r.hides(p.part) {
			subject = quote(p.part)
		}
		r.unusable(s.name, subject+" "+p.what, p.fix)
	}
}

// hides says that a value must not be shown: it may hold a password in a place
// where none belongs, or repeats one that is set elsewhere.
func (r *reader) hides(value string) bool {
	if strings.Contains(value, "@") || strings.Contains(value, "://") || strings.Contains(value, "-----BEGIN") {
		return true
	}
	for _, s := range settings {
		secret := r.env[s.name]
		if s.secret && secret != "" && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}

// quote shows a value on one line, shortened where it is long.
func quote(v string) string {
	if len(v) > maxShown {
		return strconv.Quote(v[:maxShown]) + "…"
	}
	return strconv.Quote(v)
}
