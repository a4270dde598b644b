package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/evercache/evercache"
	"github.com/evercache/evercache/internal/durations"
)

// query reads the one parameter that a call knows. Anything else is refused: a
// misspelt ttl that is silently ignored stores a value for an hour.
func query(raw, known string) (value string, given bool, _ *apiError) {
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, v, hasValue := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		v, err := url.QueryUnescape(v)
		switch {
		case nameErr != nil || err != nil:
			return "", false, errBadQuery("the query has a % that two hexadecimal digits do not follow")
		case name != known && known == "":
			return "", false, errBadQuery("this call has no query parameters")
		case name != known:
			return "", false, errBadQuery("unknown query parameter; this call knows " + known)
		case !hasValue:
			return "", false, errBadQuery(known + " has no value: write " + known + "=…")
		case given:
			return "", false, errBadQuery(known + " is given twice")
		}
		value, given = v, true
	}
	return value, given, nil
}

// minTTL is the smallest step of Redis' clock.
const minTTL = time.Millisecond

// parseTTL reads a Go duration (90s, 1h30m) or whole seconds (90).
func parseTTL(s string, limit time.Duration) (time.Duration, *apiError) {
	d, ok := parseDuration(s)
	switch {
	case !ok:
		return 0, errBadTTL("ttl is whole seconds (90) or a duration with a unit (90s, 1h30m)")
	case d <= 0:
		return 0, errBadTTL("ttl must be positive; DELETE removes a key")
	case d < minTTL:
		return 0, errBadTTL("ttl must be at least 1ms")
	case d > limit:
		return 0, errBadTTL(fmt.Sprintf("ttl must be at most %v (EVERCACHE_MAX_TTL)", limit))
	}
	return d, nil
}

// parseDuration reads both forms of a ttl. A number too large for a Duration
// comes back as the largest one, to be refused as too long.
func parseDuration(s string) (time.Duration, bool) {
	if digits := strings.TrimPrefix(s, "-"); digits == "" || strings.Trim(digits, "0123456789") != "" {
		return durations.Parse(s)
	}
	const most = int64(1<<63-1) / int64(time.Second)
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case strings.HasPrefix(s, "-"):
		return -1, true
	case err != nil || n > most:
		return 1<<63 - 1, true
	}
	return time.Duration(n) * time.Second, true
}

// minDurabilityHeader asks for a receipt at least this good.
const minDurabilityHeader = "Evercache-Min-Durability"

// mostReplicas bounds what can be asked for, so that a typo is an error and not
// a write that can never succeed.
const mostReplicas = 99

// parseMinDurability reads memory, journaled, master, replicated (one replica)
// or replicated(n), the form in which errors name it.
func parseMinDurability(s string) (evercache.Receipt, *apiError) {
	fault := errBadDurability(minDurabilityHeader + " is memory, journaled, master, replicated or replicated(n) with n from 1 to " + strconv.Itoa(mostReplicas))
	if count, ok := strings.CutPrefix(s, "replicated("); ok {
		count, closed := strings.CutSuffix(count, ")")
		n, err := strconv.ParseUint(count, 10, 8)
		if !closed || err != nil || n < 1 || n > mostReplicas || count != strconv.FormatUint(n, 10) {
			return evercache.Receipt{}, fault
		}
		return replicatedTo(int(n)), nil
	}
	d, err := evercache.ParseDurability(s)
	if err != nil {
		return evercache.Receipt{}, fault
	}
	if d == evercache.Replicated {
		return replicatedTo(1), nil
	}
	return evercache.Receipt{Durability: d}, nil
}

func replicatedTo(n int) evercache.Receipt {
	return evercache.Receipt{Durability: evercache.Replicated, Replicas: n}
}

// minDurability is what the request's header asks for.
func minDurability(h http.Header) (asked evercache.Receipt, given bool, _ *apiError) {
	values := h.Values(minDurabilityHeader)
	if len(values) == 0 {
		return asked, false, nil
	}
	if len(values) > 1 {
		return asked, false, errBadDurability(minDurabilityHeader + " is given twice")
	}
	asked, fault := parseMinDurability(strings.TrimSpace(values[0]))
	return asked, true, fault
}

// minDurabilityOption is the same as an option of a write.
func minDurabilityOption(h http.Header) ([]evercache.WriteOption, *apiError) {
	asked, given, fault := minDurability(h)
	if fault != nil || !given {
		return nil, fault
	}
	if asked.Durability == evercache.Replicated {
		return []evercache.WriteOption{evercache.MinReplicas(asked.Replicas)}, nil
	}
	return []evercache.WriteOption{evercache.MinDurability(asked.Durability)}, nil
}
