package evercache

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// classValues is what is wrong with the values of a class.
type classValues struct {
	class               string
	unread, again, lost occurrences
}

func (c *Cache[V]) values() classValues {
	return classValues{c.class, c.unread.snapshot(), c.unread.again.snapshot(), c.unstored.snapshot()}
}

func (c *Client) classValues() (all []classValues) {
	c.everySubscriber(func(s subscriber) { all = append(all, s.values()) })
	slices.SortFunc(all, func(a, b classValues) int { return cmp.Compare(a.class, b.class) })
	return all
}

// valueFindings tell of values that cannot be read from Redis, or not be stored there.
func valueFindings(all []classValues, now time.Time) (fs []Finding) {
	unread := told(all, now, func(v classValues) occurrences { return v.unread })
	again := told(all, now, func(v classValues) occurrences { return v.again })
	lost := told(all, now, func(v classValues) occurrences { return v.lost })
	if unread != "" {
		f := Finding{
			Code: "value-undecodable", Severity: Warning,
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
		fs = append(fs, Finding{
			Code: "value-unencodable", Severity: Warning,
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
func told(all []classValues, now time.Time, what func(classValues) occurrences) string {
	var texts []string
	for _, v := range all {
		if o := what(v); o.n > 0 && now.Sub(o.last) <= valuesTold {
			texts = append(texts, fmt.Sprintf("class %s: %d so far, the last at %s", v.class, o.n, o.last.UTC().Format(time.RFC3339)))
		}
	}
	if more := len(texts) - classesTold; more > 0 {
		texts = append(texts[:classesTold], fmt.Sprintf("and %d other classes", more))
	}
	return strings.Join(texts, "; ")
}
