package switchover

import (
	"fmt"
	"strings"
)

// join is a list of texts, bounded.
func join(all []string) string {
	const most = 8
	if more := len(all) - most; more > 0 {
		return strings.Join(all[:most], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(all, "; ")
}

func (s Step) line() string { return fmt.Sprintf("%8.0f ms  %s", s.AtMS, s.Text) }

// Text is the plan for people.
func (p Plan) Text() string {
	if len(p.Refusals) > 0 {
		return "refused, nothing was changed:\n  - " + strings.Join(p.Refusals, "\n  - ") + "\n"
	}
	to := "a replica that the sentinels choose"
	if p.To != "" {
		to = p.To
	}
	name := ""
	if p.MasterName != "" {
		name = " of " + p.MasterName
	}
	text := fmt.Sprintf("master%s: from %s to %s, by %s\n", name, p.From, to, p.Method)
	if l := p.Leftover; l != nil {
		text += fmt.Sprintf("first %s gets its replica-priority %d back: an earlier switchover was interrupted, and left %d\n", l.Node, l.Own, l.Low)
	}
	return text
}

// Text is the end of the report for people: the steps are told as they happen.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Outcome, r.State)
	if r.PromotedMS != nil {
		fmt.Fprintf(&b, "  the next master took over %.0f ms after the order\n", *r.PromotedMS)
	}
	if r.PauseMS != nil {
		fmt.Fprintf(&b, "  writes were held back for %.0f ms\n", *r.PauseMS)
	}
	return b.String()
}
