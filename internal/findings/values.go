package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
)

// Class is what is wrong with the values of a class.
type Class struct {
	Name   string
	Unread Count // in Redis, and cannot be decoded
	Again  Count // of them, those that others had written again
	Lost   Count // cannot be stored in Redis
}

// Count is how often something has happened, and when it did last.
type Count struct {
	N    uint64
	Last time.Time
}

// values tell of values that cannot be read from Redis, or not be stored there.
func values(all []Class, now time.Time) (fs []health.Finding) {
	unread := told(all, now, func(v Class) Count { return v.Unread })
	again := told(all, now, func(v Class) Count { return v.Again })
	lost := told(all, now, func(v Class) Count { return v.Lost })
	if unread != "" {
		f := health.Finding{
			Code: health.CodeValueUndecodable, Severity: health.SeverityWarning,
			Title:  "Redis holds values that cannot be decoded",
			Detail: unread + ". Each is a miss: the value is loaded again, and written over it once by each process",
			Fix:    "Give the class another Policy.Version in the release that changes how its values are stored. Or look for another program that writes these keys.",
		}
		if again != "" {
			f.Detail += ". Written by others again after that, and left alone since: " + again
		}
		fs = append(fs, f)
	}
	if lost != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeValueUnencodable, Severity: health.SeverityWarning,
			Title:  "Some values cannot be stored in Redis",
			Detail: lost + ". Their codec does not encode them. Those that were loaded are only in the memory of the process that loaded them; a Set of one is refused",
			Fix:    "Look for what the codec does not know (JSON: NaN, infinity, a value that contains itself, a string that is no UTF-8), or give the class another codec (WithCodec).",
		})
	}
	return fs
}

const (
	valuesTold  = time.Hour // for so long after it happened last
	classesTold = 5
)

// told lists the classes to which something has happened lately.
func told(all []Class, now time.Time, what func(Class) Count) string {
	var texts []string
	for _, v := range all {
		if o := what(v); o.N > 0 && now.Sub(o.Last) <= valuesTold {
			texts = append(texts, fmt.Sprintf("class %s: %d so far, the last at %s", v.Name, o.N, o.Last.UTC().Format(time.RFC3339)))
		}
	}
	if more := len(texts) - classesTold; more > 0 {
		texts = append(texts[:classesTold], fmt.Sprintf("and %d other classes", more))
	}
	return strings.Join(texts, "; ")
}
