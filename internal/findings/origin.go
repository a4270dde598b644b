package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
)

// Origin is what is wrong with the loads of a class.
type Origin struct {
	FailingSince time.Time // loads fail for most keys since then; zero: they do not
	Failed       Count     // loads
	Slow         Count     // loads that callers with a stale value did not wait for
	Ahead        bool      // Policy.RefreshAhead is set
}

// slowShown is for so long after a load was slow that it is reported.
const slowShown = time.Minute

// origins report loads that fail or take long.
func origins(all []Class, now time.Time) (fs []health.Finding) {
	failing := named(all, func(v Class) string {
		if v.Origin.FailingSince.IsZero() {
			return ""
		}
		return fmt.Sprintf("since %s, %d loads have failed so far", v.Origin.FailingSince.UTC().Format(time.RFC3339), v.Origin.Failed.N)
	})
	slow := named(all, func(v Class) string {
		o := v.Origin.Slow
		if o.N == 0 || now.Sub(o.Last) > slowShown || !v.Origin.FailingSince.IsZero() {
			return ""
		}
		return fmt.Sprintf("%d loads so far, the last at %s", o.N, o.Last.UTC().Format(time.RFC3339))
	})
	if failing != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeOriginFailing, Severity: health.SeverityWarning,
			Title:  "Loaders fail for most keys",
			Detail: failing + ". Stale values are served where there are any. Two loads at a time at most try whether the origin is back",
			Fix:    "Look at what the loaders of the class ask (a database, another service), and at the errors that the application logs. Nothing needs to be done here when it is back.",
		})
	}
	if slow != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeOriginSlow, Severity: health.SeverityWarning,
			Title:  "Loaders take longer than callers wait for them",
			Detail: slow + ". Callers got the stale value, and the loads went on",
			Fix:    "Look at what the loaders of the class ask. If it needs that long in good times, " + remedy(all) + ".",
		})
	}
	return fs
}

// remedy is what helps where loaders need long. A class that refreshes ahead has read
// entries that had ended before.
func remedy(all []Class) string {
	for _, v := range all {
		if v.Origin.Slow.N > 0 && !v.Origin.Ahead {
			return "raise Policy.LoadPatience, or set Policy.RefreshAhead"
		}
	}
	return "raise Policy.LoadPatience, or lower Policy.RefreshAhead, so that the refresh begins earlier (an entry that is seldom read has no refresh)"
}

// named lists the classes of which what says something.
func named(all []Class, what func(Class) string) string {
	var texts []string
	for _, v := range all {
		if text := what(v); text != "" {
			texts = append(texts, "class "+v.Name+": "+text)
		}
	}
	if more := len(texts) - classesShown; more > 0 {
		texts = append(texts[:classesShown], fmt.Sprintf("and %d other classes", more))
	}
	return strings.Join(texts, "; ")
}
