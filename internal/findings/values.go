package findings

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercache/evercache/health"
)

// Class is what is wrong with a class.
type Class struct {
	Name   string
	Unread Count // values that are in Redis and cannot be decoded
	Again  Count // of them, those that others had written again
	Lost   Count // values that cannot be encoded
	Wrong  Count // entries of memory that were called coherent, and were not what Redis holds
	Origin Origin

	TooLong  Count // loaded values that are longer than Options.MaxValueBytes
	TooLarge Count // loaded values that neither Redis nor memory can hold
}

// Count is how often something has happened, and when it did last.
type Count struct {
	N    uint64
	Last time.Time
}

// values report values that cannot be read from Redis, or not be stored there.
func values(all []Class, now time.Time) (fs []health.Finding) {
	unread := recent(all, now, func(v Class) Count { return v.Unread })
	again := recent(all, now, func(v Class) Count { return v.Again })
	lost := recent(all, now, func(v Class) Count { return v.Lost })
	if wrong := recent(all, now, func(v Class) Count { return v.Wrong }); wrong != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeMemoryWrong, Severity: health.SeverityError,
			Title:  "Memory has called values coherent that Redis does not hold",
			Detail: wrong + ". Found by a comparison of memory with Redis",
			Fix:    "This is a fault of evercache, or of a server or proxy that does not announce changes. Set EVERCACHE_L1_TTL (Policy.L1TTL) to a few seconds to bound it, keep the log, and report it.",
		})
	}
	if unread != "" {
		f := health.Finding{
			Code: health.CodeValueUndecodable, Severity: health.SeverityWarning,
			Title:  "Redis holds values that cannot be decoded",
			Detail: unread + ". Each is a miss: the value is loaded again, and each process replaces it once",
			Fix:    "Give the class another Policy.Version in the release that changes how its values are stored. Or find the other program that writes these keys.",
		}
		if again != "" {
			f.Detail += ". Others wrote such a value again after that; it is not replaced a second time: " + again
		}
		fs = append(fs, f)
	}
	if lost != "" {
		fs = append(fs, health.Finding{
			Code: health.CodeValueUnencodable, Severity: health.SeverityWarning,
			Title:  "Some values cannot be stored in Redis",
			Detail: lost + ". Their codec cannot encode them. A loaded value stays in the memory of the process that loaded it; a Set is refused",
			Fix:    "Look for what the codec cannot encode (JSON: NaN, infinity, a value that contains itself, a string that is not UTF-8), or give the class another codec (WithCodec).",
		})
	}
	return append(fs, tooLong(all, now)...)
}

// tooLong reports loaded values that are too long to be stored.
func tooLong(all []Class, now time.Time) []health.Finding {
	long := recent(all, now, func(v Class) Count { return v.TooLong })
	large := recent(all, now, func(v Class) Count { return v.TooLarge })
	var texts []string
	if long != "" {
		texts = append(texts, "Longer than Options.MaxValueBytes, so they stay in the memory of the process that loaded them: "+long)
	}
	if large != "" {
		texts = append(texts, "Too large for the memory of their class, and nothing else can hold them, so each read loads them: "+large)
	}
	if len(texts) == 0 {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeValueTooLongToStore, Severity: health.SeverityWarning,
		Title:  "Some loaded values are too long to be stored",
		Detail: strings.Join(texts, ". "),
		Fix:    "Load smaller values (a page of a list, not the whole), or raise Options.MaxValueBytes, and Options.MemoryBytes or the MaxBytes of the class.",
	}}
}

const (
	valuesShown  = time.Hour // for so long after it happened last
	classesShown = 5
)

// recent lists the classes to which something has happened lately.
func recent(all []Class, now time.Time, what func(Class) Count) string {
	return named(all, func(v Class) string {
		o := what(v)
		if o.N == 0 || now.Sub(o.Last) > valuesShown {
			return ""
		}
		return fmt.Sprintf("%d so far, the last at %s", o.N, o.Last.UTC().Format(time.RFC3339))
	})
}
